import doctest
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cvlib.backbones import load_backbone
from cvlib.classification import evaluate
from cvlib.classification.evaluate import (
    grouped_interval,
    recall_per_class,
    wilson_interval,
    worst_mistakes,
)
from cvlib.classification.model import build_classifier

NAMES = ["bowl", "can", "mug"]
PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1)


def test_the_examples_in_docstrings_hold():
    assert doctest.testmod(evaluate, extraglobs={"torch": torch}).failed == 0


@given(PAIRS)
def test_recalls_are_shares_of_each_class_that_there_is(pairs):
    labels, predicted = np.array(pairs).T
    by_hand = {
        NAMES[k]: np.mean([p == k for t, p in pairs if t == k])
        for k in sorted(set(labels.tolist()))
    }
    recalls = recall_per_class(labels, predicted, NAMES)
    assert list(recalls) == list(by_hand) and recalls == pytest.approx(by_hand)


def test_lists_arrays_and_tensors_are_taken_alike():
    labels, predicted = [0, 1, 1, 2], [0, 1, 2, 2]
    for form in (list, np.array, torch.tensor):
        given = form(labels), form(predicted)
        assert recall_per_class(*given, NAMES) == {"bowl": 1, "can": 0.5, "mug": 1}
        long = form(4 * labels), form(4 * predicted)
        low, high = grouped_interval(*long, [str(i) for i in range(16)])
        assert 0.4 < low < 0.75 < high < 1.01
        # What predicts gives is what scikit-learn judges.
        assert metrics.accuracy_score(*given) == 0.75
        table = metrics.confusion_matrix(*given)
        assert table.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    truth, scores = [[True, False], [False, True]], [[0.9, 0.2], [0.1, 0.6]]
    for form in (list, np.array, torch.tensor):
        found = evaluate.average_precision_per_tag(form(truth), form(scores))
        assert found.tolist() == [1, 1]
        best = evaluate.best_thresholds(form(truth), form(scores))
        assert best.tolist() == pytest.approx([0.5, 0.4])


@pytest.mark.parametrize(("labels", "predicted"), [([0, 1], [0, 1, 1]), ([], [])])
def test_labels_and_predictions_must_pair_up_and_be_there(labels, predicted):
    for judge in (
        lambda: recall_per_class(labels, predicted, NAMES),
        lambda: grouped_interval(labels, predicted, [""] * len(labels)),
    ):
        with pytest.raises(ValueError, match=r"\[N\], N > 0, got \(\d,\) and \(\d,\)"):
            judge()


def test_wilsons_interval_agrees_with_the_printed_example():
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, and 0 of 20.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


@given(st.integers(1, 500), st.data())
def test_wilsons_interval_holds_the_share_and_stays_in_bounds(total, data):
    correct = data.draw(st.integers(0, total))
    low, high = wilson_interval(correct, total)
    assert 0 <= low <= correct / total + 1e-12
    assert correct / total - 1e-12 <= high <= 1


@pytest.mark.parametrize(("correct", "total"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_an_error(correct, total):
    with pytest.raises(ValueError, match="correct ≤ total"):
        wilson_interval(correct, total)


def test_groups_of_one_give_about_wilsons_interval():
    labels = torch.zeros(400, dtype=torch.int64)
    predicted = (torch.arange(400) % 5 == 0).long()
    names = [str(i) for i in range(400)]
    assert grouped_interval(labels, predicted, names) == pytest.approx(
        wilson_interval(320, 400), abs=0.01
    )


def test_images_that_fail_together_widen_the_interval():
    labels = torch.zeros(400, dtype=torch.int64)
    predicted = (torch.arange(400) // 10 % 5 == 0).long()
    names = [str(i // 10) for i in range(400)]
    low, high = grouped_interval(labels, predicted, names)
    alone = wilson_interval(320, 400)
    assert high - low > 2.5 * (alone[1] - alone[0])
    assert grouped_interval(labels, predicted, names) == (low, high)


def test_the_costliest_mistake_comes_first_and_right_answers_never():
    probabilities = torch.tensor([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.55, 0.45]])
    labels = torch.tensor([1, 1, 1, 0])
    assert worst_mistakes(probabilities, labels).tolist() == [1, 0]
    assert worst_mistakes(probabilities, labels, count=1).tolist() == [1]
    assert worst_mistakes(probabilities[2:], labels[2:]).tolist() == []


def test_eight_mistakes_are_shown_and_of_equal_ones_the_first():
    probabilities = torch.tensor([[0.7, 0.3]]).repeat(12, 1)
    found = worst_mistakes(probabilities, torch.ones(12, dtype=torch.int64))
    assert found.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


TAGS = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        *[
            st.lists(st.lists(cell, min_size=3, max_size=3), min_size=n, max_size=n)
            for cell in (st.booleans(), st.booleans(), st.integers(0, 8))
        ]
    )
)


def f1(truth, predicted):
    return metrics.f1_score(truth, predicted, average=None, zero_division=0)


@given(TAGS)
def test_average_precisions_equal_scikit_learns(drawn):
    truth = torch.tensor(drawn[0])
    scores = torch.tensor(drawn[2]) / 8  # few levels, so that ties are common
    found = evaluate.average_precision_per_tag(truth, scores)
    for own, given_scores, value in zip(truth.T, scores.T, found, strict=True):
        if own.any():
            theirs = metrics.average_precision_score(own, given_scores)
            assert float(value) == pytest.approx(theirs)
        else:
            assert math.isnan(value)


@pytest.mark.slow
@given(TAGS)
def test_no_other_threshold_between_two_scores_is_better(drawn):
    truth, scores = torch.tensor(drawn[0]), torch.tensor(drawn[2]) / 8
    best = f1(truth, scores >= evaluate.best_thresholds(truth, scores))
    for tag in range(3):
        levels = scores[:, tag].unique()
        for middle in (levels[1:] + levels[:-1]) / 2:
            assert best[tag] >= f1(truth, scores >= middle)[tag] - 1e-6


@pytest.mark.slow
@given(TAGS)
def test_no_other_shared_threshold_has_a_better_mean(drawn):
    truth, scores = torch.tensor(drawn[0]), torch.tensor(drawn[2]) / 8
    shared = evaluate.best_thresholds(truth, scores, shared=True)
    assert shared.shape == (3,) and len(shared.unique()) == 1
    best = f1(truth, scores >= shared).mean()
    levels = scores.unique()
    for middle in (levels[1:] + levels[:-1]) / 2:
        assert best >= f1(truth, scores >= middle).mean() - 1e-6


def test_a_shared_threshold_is_the_best_for_all_tags_together():
    truth = torch.tensor([[True, False], [True, True], [False, True], [False, False]])
    scores = torch.tensor([[0.9, 0.3], [0.8, 0.7], [0.4, 0.6], [0.1, 0.2]])
    shared = evaluate.best_thresholds(truth, scores, shared=True)
    assert shared.tolist() == pytest.approx([0.5, 0.5])  # all right; 0.15 says too much


def test_a_threshold_lies_midway_between_scores():
    truth = torch.tensor([[False], [False], [True]])
    scores = torch.tensor([[0.1], [0.2], [0.6]])
    assert evaluate.best_thresholds(truth, scores).tolist() == pytest.approx([0.4])


def test_a_tag_that_no_image_has_keeps_one_half():
    truth = torch.tensor([[False, True], [False, False]])
    scores = torch.tensor([[0.1, 0.9], [0.2, 0.3]])
    assert evaluate.best_thresholds(truth, scores).tolist() == pytest.approx([0.5, 0.6])


def test_a_temperature_undoes_what_made_logits_too_sure():
    generator = torch.Generator().manual_seed(0)
    honest = torch.randn(4000, 3, generator=generator)
    drawn = torch.multinomial(honest.softmax(1), 1, generator=generator)[:, 0]
    assert evaluate.fit_temperature(honest, drawn) == pytest.approx(1, abs=0.1)
    assert evaluate.fit_temperature(5 * honest, drawn) == pytest.approx(5, abs=0.5)


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), min_size=1))
def test_calibration_error_is_the_one_counted_by_hand(drawn):
    scores = torch.tensor([score / 100 for score, _ in drawn])
    correct = torch.tensor([right for _, right in drawn])
    by_hand = 0.0
    for low in range(10):
        own = [i for i, s in enumerate(scores) if min(int(s * 10), 9) == low]
        if own:
            sure, right = scores[own].mean(), correct[own].double().mean()
            by_hand += abs(float(sure - right)) * len(own) / len(drawn)
    found = evaluate.expected_calibration_error(scores, correct)
    assert found == pytest.approx(by_hand, abs=1e-6)


def test_risk_falls_to_nothing_when_only_the_surest_are_answered():
    scores = torch.tensor([0.9, 0.8, 0.6, 0.5])
    correct = torch.tensor([True, True, False, True])
    coverage, risk = evaluate.risk_coverage(scores, correct)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 4])


def test_a_bound_lies_above_the_risk_and_nears_it_with_more_images():
    few = torch.arange(20) % 10 > 0
    for correct, gap in ((few, 0.2), (few.repeat(200), 0.01)):
        scores = torch.linspace(1, 0, len(correct))
        _, risk = evaluate.risk_coverage(scores, correct)
        bound = evaluate.risk_bound(scores, correct)
        assert (bound > risk)[risk < 1].all() and bound[-1] - risk[-1] < gap


def test_bounds_and_thresholds_have_the_confidence_that_is_asked_for():
    scores, correct = torch.linspace(0.99, 0, 100), torch.arange(100) < 59
    # With 59 of 59 right the bound is 1 - 0.05 ** (1 / 59) = 0.0495, with 0.2 for 0.05
    # it is 0.0269; 28 of 28 right give 1 - 0.2 ** (1 / 28) = 0.0559.
    bounds = evaluate.risk_bound(scores, correct)
    assert float(bounds[58]) == pytest.approx(0.0495, abs=1e-4)
    bounds = evaluate.risk_bound(scores, correct, confidence=0.8)
    assert float(bounds[58]) == pytest.approx(0.0269, abs=1e-4)
    assert evaluate.answering_threshold(scores, correct, tolerated=0.03) == math.inf
    found = evaluate.answering_threshold(
        scores, correct, tolerated=0.03, confidence=0.8
    )
    assert found == pytest.approx(0.41)


def test_bins_are_tenths_that_hold_their_lower_end():
    scores = torch.tensor([0.0, 0.05, 0.5, 1.0, 0.95])
    correct = torch.tensor([False, True, True, True, False])
    found = evaluate.calibration_bins(scores, correct)
    assert [count for *_, count in found] == [2, 1, 2]
    assert found[0][:2] == pytest.approx((0.025, 0.5))
    assert found[2][:2] == pytest.approx((0.975, 0.5))
    halves = evaluate.calibration_bins(scores, correct, bins=2)
    assert [count for *_, count in halves] == [2, 3]
    # |0.025 - 0.5| of two images, |2.45 / 3 - 2 / 3| of three: 0.95 + 0.45 of five.
    error = evaluate.expected_calibration_error(scores, correct, bins=2)
    assert error == pytest.approx((0.95 + 0.45) / 5, abs=1e-6)


def test_thresholds_are_numbers_of_the_same_kind_as_the_scores():
    truth = torch.tensor([[False, True], [False, False]])
    scores = torch.tensor([[0.1, 0.9], [0.2, 0.3]], dtype=torch.float64)
    for shared in (False, True):
        found = evaluate.best_thresholds(truth, scores, shared=shared)
        assert found.dtype == torch.float64
    never = torch.zeros(2, 1, dtype=torch.bool)
    assert evaluate.best_thresholds(never, scores[:, :1]).dtype == torch.float64


def test_where_all_scores_are_alike_the_threshold_is_one_half():
    truth, scores = torch.tensor([[True], [False]]), torch.tensor([[0.7], [0.7]])
    assert evaluate.best_thresholds(truth, scores).tolist() == [0.5]
    assert evaluate.best_thresholds(truth, scores, shared=True).tolist() == [0.5]


def test_equal_scores_are_answered_together_or_not_at_all():
    scores = torch.tensor([0.9] * 60 + [0.5] * 2)
    correct = torch.tensor([True] * 61 + [False])
    both = evaluate.answering_threshold(scores, correct, tolerated=0.05)
    assert both == pytest.approx(0.9)  # 61 of the right ones would have passed


def test_without_images_nothing_can_be_promised():
    nothing = torch.empty(0)
    found = evaluate.answering_threshold(nothing, nothing.bool(), tolerated=0.5)
    assert found == math.inf


def test_the_promise_of_a_threshold_holds_where_the_measured_risk_breaks_it():
    """A model whose scores keep their word, so that the true risk is known."""
    generator = np.random.default_rng(0)
    world = np.sort(generator.beta(3, 0.6, 20_000))[::-1]
    true_risk = (1 - world).cumsum() / np.arange(1, 20_001)
    broken = {"bound": 0, "measured": 0}
    for _ in range(200):
        scores = torch.from_numpy(generator.choice(world, 300))
        correct = torch.from_numpy(generator.random(300) < scores.numpy())
        _, risk = evaluate.risk_coverage(scores, correct)
        levels = scores.sort(descending=True).values
        chosen = {
            "bound": evaluate.answering_threshold(scores, correct, tolerated=0.1),
            "measured": float(levels[risk <= 0.1][-1]),
        }
        for name, threshold in chosen.items():
            answered = int((world >= threshold).sum())
            broken[name] += answered > 0 and true_risk[answered - 1] > 0.1
    assert broken["bound"] <= 20 and broken["measured"] >= 60


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"\[N, tags\], got \(2,\)"):
        evaluate.best_thresholds(torch.zeros(2), torch.zeros(2))
    with pytest.raises(ValueError, match=r"\[N\], got \(2, 1\) and \(2, 1\)$"):
        evaluate.calibration_bins(torch.zeros(2, 1), torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"\(2, 1\) and \(2, 3\)$"):
        evaluate.best_thresholds(torch.zeros(2, 1), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"must both be \[N\]"):
        evaluate.calibration_bins(torch.zeros(2), torch.zeros(3))


@pytest.mark.slow
def test_grad_cam_equals_captums():
    from captum.attr import LayerGradCam

    backbone = load_backbone(pretrained=False)
    classifier = build_classifier(backbone, ["a", "b", "c"], image_size=96).eval()
    images, labels = torch.rand(3, 3, 96, 96), torch.tensor([0, 2, 1])
    found = evaluate.grad_cam(classifier, images, labels, batch_size=2)
    theirs = LayerGradCam(classifier, classifier.features.bn2).attribute(
        images, labels, relu_attributions=True
    )
    theirs = torch.nn.functional.interpolate(theirs, (96, 96), mode="bilinear")
    assert found.shape == (3, 96, 96)
    assert torch.allclose(found, theirs[:, 0].detach(), rtol=1e-3, atol=1e-7)


def test_without_images_there_is_no_heat():
    backbone = load_backbone(pretrained=False)
    classifier = build_classifier(backbone, ["a", "b"], image_size=96)
    none = torch.zeros(0, dtype=torch.int64)
    found = evaluate.grad_cam(classifier, torch.rand(0, 3, 96, 96), none)
    assert found.shape == (0, 96, 96)


def test_the_front_holds_what_no_other_beats_in_both():
    assert evaluate.pareto_front([1, 2, 3], [0.9, 0.8, 0.7]) == [2, 1, 0]
    assert evaluate.pareto_front([5, 5], [0.8, 0.9]) == [1]
    assert evaluate.pareto_front([], []) == []


def test_what_is_as_good_but_slower_is_not_on_the_front():
    assert evaluate.pareto_front([10, 20, 30], [0.8, 0.8, 0.8]) == [2]
    assert evaluate.pareto_front([10, 20, 30], [0.9, 0.8, 0.8]) == [2, 0]
    assert evaluate.pareto_front([5, 5, 5], [0.8, 0.8, 0.7]) == [0]  # the first of two
