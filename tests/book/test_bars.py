import pytest

from cvlib.book.bars import Band, Bar, find_strays, is_of_the_machine, judge


def test_a_value_on_the_bar_meets_it():
    assert Bar(at_least=0.5).met_by(0.5)
    assert Bar(at_most=0.5).met_by(0.5)


def test_a_bar_is_one_sided():
    assert not Bar(at_least=0.5).met_by(0.49)
    assert not Bar(at_most=0.5).met_by(0.51)


@pytest.mark.parametrize("sides", [{}, {"at_least": 0.1, "at_most": 0.9}])
def test_a_bar_of_no_side_or_two_is_refused(sides: dict[str, float]):
    with pytest.raises(ValueError, match="exactly one of at_least and at_most"):
        Bar(**sides)


def test_verdicts_come_in_the_order_of_the_bars_and_read_as_sentences():
    bars = {
        "seconds": Bar(at_most=2),
        "recall": Bar(at_least=0.5),
        "cost": Bar(at_most=1),
    }
    verdicts = judge({"recall": 0.25, "seconds": 1.23456}, bars)
    assert [verdict.met for verdict in verdicts] == [True, False, False]
    assert [str(verdict) for verdict in verdicts] == [
        "seconds 1.235, wanted ≤ 2: met",
        "recall 0.25, wanted ≥ 0.5: NOT MET",
        "cost not recorded, wanted ≤ 1: NOT MET",
    ]


def test_a_metric_that_nobody_recorded_does_not_meet_its_bar():
    (verdict,) = judge({"recall": 1.0}, {"accuracy": Bar(at_least=0.0)})
    assert not verdict.met
    assert "not recorded" in str(verdict)


def test_a_band_is_low_median_and_high():
    assert Band.of([0.90, 0.95, 0.92]) == Band(0.90, 0.92, 0.95, seeds=3)


def test_a_bar_stands_a_tenth_of_the_width_outside_its_band():
    band = Band.of([0.90, 0.92, 1.00])
    assert band.leaves_room_for(Bar(at_least=0.88))
    assert not band.leaves_room_for(Bar(at_least=0.895))
    assert not band.leaves_room_for(Bar(at_least=0.91))
    assert band.leaves_room_for(Bar(at_most=1.02))
    assert not band.leaves_room_for(Bar(at_most=1.005))


def test_a_bar_may_stand_on_what_no_seed_changes():
    assert Band.of([1.0, 1.0]).leaves_room_for(Bar(at_least=1.0))
    assert not Band.of([1.0, 1.0]).leaves_room_for(Bar(at_least=1.01))


@pytest.mark.parametrize(
    ("value", "distance", "stale"),
    [
        (0.50, 0.0, False),
        (0.60, 0.0, False),
        (0.62, 0.02, False),
        (0.69, 0.09, False),
        (0.71, 0.11, True),
        (0.41, 0.09, False),
        (0.39, 0.11, True),
    ],
)
def test_a_band_is_stale_where_a_run_is_further_out_than_it_is_wide(
    value, distance, stale
):
    band = Band.of([0.5, 0.52, 0.6])
    assert band.distance(value) == pytest.approx(distance)
    assert band.is_stale_by(value) is stale


def test_a_run_as_far_out_as_its_band_is_wide_is_not_yet_stale():
    assert not Band.of([1.0, 2.0]).is_stale_by(3.0)
    assert Band.of([1.0, 2.0]).is_stale_by(3.001)


def test_the_last_digits_of_a_large_number_are_no_distance():
    assert Band.of([16.0, 32.0]).distance(32.0002) == 0
    assert Band.of([16.0, 32.0]).distance(32.0004) > 0
    assert Band.of([-32.0, -16.0]).distance(-32.0002) == 0


def test_a_band_without_width_is_stale_beyond_two_percent():
    band = Band.of([0.8, 0.8])
    assert band.distance(0.8000001) == 0
    assert band.distance(0.81) > 0 and not band.is_stale_by(0.81)
    assert band.is_stale_by(0.82)


def test_strays_are_the_metrics_outside_their_bands_but_no_times():
    band = Band.of([0.5, 0.6])
    bands = dict.fromkeys(["accuracy", "recall", "gone", "train_seconds"], band)
    record = {"accuracy": 0.62, "recall": 0.55, "train_seconds": 9.0, "new": 3.0}
    (stray,) = find_strays(record, bands)
    assert str(stray) == "accuracy 0.62, band 0.5 to 0.6: outside"
    (stray,) = find_strays({"recall": 0.9}, bands)
    assert str(stray) == "recall 0.9, band 0.5 to 0.6: stale band, or news"


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("seconds", True),
        ("train_seconds", True),
        ("seconds_per_image", True),
        ("images_per_second", True),
        ("query_ms", True),
        ("milliseconds_per_image", True),
        ("speed_up", True),
        ("hnsw_one_speedup", True),
        ("small_speed_ratio", True),
        ("rate_of_16", True),
        ("memory_gb", True),
        ("false_positive_rate", False),
        ("terms", False),
        ("accuracy_fastest", False),
        ("items", False),
    ],
)
def test_times_rates_and_memory_are_known_by_their_names(metric, expected):
    assert is_of_the_machine(metric) is expected
