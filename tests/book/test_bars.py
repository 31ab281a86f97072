from pathlib import Path

import pytest

from cvlib.book.bars import Band, Bar, judge, read_bands, write_bands


def test_a_value_on_the_bar_meets_it():
    assert Bar(at_least=0.5).met_by(0.5)
    assert Bar(at_most=0.5).met_by(0.5)


def test_a_bar_is_one_sided():
    assert not Bar(at_least=0.5).met_by(0.49)
    assert not Bar(at_most=0.5).met_by(0.51)


def test_a_metric_that_nobody_recorded_does_not_meet_its_bar():
    (verdict,) = judge({"recall": 1.0}, {"accuracy": Bar(at_least=0.0)})
    assert not verdict.met
    assert "not recorded" in str(verdict)


def test_a_bar_outside_the_band_leaves_room():
    band = Band.of([0.90, 0.94, 0.92])
    assert band == Band(low=0.90, median=0.92, high=0.94, seeds=3)
    assert band.leaves_room_for(Bar(at_least=0.89))
    assert not band.leaves_room_for(Bar(at_least=0.91))
    assert not band.leaves_room_for(Bar(at_most=0.93))


def test_bands_of_one_profile_leave_the_others(tmp_path: Path):
    chapter = tmp_path / "one.md"
    assert read_bands(chapter) == {}
    write_bands(chapter, "embedded", {"accuracy": Band.of([0.5, 0.6])})
    write_bands(chapter, "photos", {"accuracy": Band.of([0.7, 0.8])})
    write_bands(chapter, "embedded", {"accuracy": Band.of([0.6, 0.7])})
    bands = read_bands(chapter)
    assert bands["embedded"]["accuracy"].low == pytest.approx(0.6)
    assert bands["photos"]["accuracy"].high == pytest.approx(0.8)
