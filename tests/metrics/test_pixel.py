import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from terradelta.metrics import PixelCounts

HAND = PixelCounts(true_positive=6, false_positive=2, false_negative=4, true_negative=88)


def masks(seed: int, change: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """An answer and a truth [40, 50] that agree on about four pixels of five."""
    random = np.random.default_rng(seed)
    truth = random.random((40, 50)) < change
    return truth ^ (random.random((40, 50)) < 0.2), truth


def test_pixels_are_counted_by_answer_and_truth() -> None:
    answer = np.array([[True, True, True, False, False, False]])
    truth = np.array([[True, False, False, True, True, True]])
    assert PixelCounts.of(answer, truth) == PixelCounts(1, 2, 3, 0)


def test_metrics_are_those_worked_out_by_hand() -> None:
    assert HAND.precision == 6 / 8
    assert HAND.recall == 6 / 10
    assert HAND.f1 == 12 / 18
    assert HAND.iou == 6 / 12
    assert HAND.accuracy == 94 / 100
    expected = (8 * 10 + 92 * 90) / 100**2
    assert HAND.kappa == pytest.approx((94 / 100 - expected) / (1 - expected))
    assert HAND.macro_precision == pytest.approx((6 / 8 + 88 / 92) / 2)
    assert HAND.macro_recall == pytest.approx((6 / 10 + 88 / 90) / 2)
    assert HAND.macro_f1 == pytest.approx((12 / 18 + 176 / 182) / 2)
    assert HAND.macro_iou == pytest.approx((6 / 12 + 88 / 94) / 2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("change", [0.02, 0.5, 0.9])
def test_metrics_are_those_of_scikit_learn(seed: int, change: float) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    answer, truth = masks(seed, change)
    counts = PixelCounts.of(answer, truth)
    flat = truth.ravel(), answer.ravel()
    (tn, fp), (fn, tp) = sklearn.confusion_matrix(*flat).tolist()
    assert counts == PixelCounts(tp, fp, fn, tn)
    assert counts.as_dict() == {
        "precision": pytest.approx(sklearn.precision_score(*flat)),
        "recall": pytest.approx(sklearn.recall_score(*flat)),
        "f1": pytest.approx(sklearn.f1_score(*flat)),
        "iou": pytest.approx(sklearn.jaccard_score(*flat)),
        "accuracy": pytest.approx(sklearn.accuracy_score(*flat)),
        "kappa": pytest.approx(sklearn.cohen_kappa_score(*flat)),
        "macro_precision": pytest.approx(sklearn.precision_score(*flat, average="macro")),
        "macro_recall": pytest.approx(sklearn.balanced_accuracy_score(*flat)),
        "macro_f1": pytest.approx(sklearn.f1_score(*flat, average="macro")),
        "macro_iou": pytest.approx(sklearn.jaccard_score(*flat, average="macro")),
    }


@pytest.mark.parametrize("change", [0.02, 0.5, 0.9])
def test_metrics_are_those_of_torchmetrics(change: float) -> None:
    metrics = pytest.importorskip("torchmetrics.functional.classification")
    answer, truth = masks(7, change)
    both = torch.from_numpy(answer).long(), torch.from_numpy(truth).long()
    macro = {"num_classes": 2, "average": "macro"}
    expected = {
        "precision": metrics.binary_precision(*both),
        "recall": metrics.binary_recall(*both),
        "f1": metrics.binary_f1_score(*both),
        "iou": metrics.binary_jaccard_index(*both),
        "accuracy": metrics.binary_accuracy(*both),
        "kappa": metrics.binary_cohen_kappa(*both),
        "macro_precision": metrics.multiclass_precision(*both, **macro),
        "macro_recall": metrics.multiclass_recall(*both, **macro),
        "macro_f1": metrics.multiclass_f1_score(*both, **macro),
        "macro_iou": metrics.multiclass_jaccard_index(*both, **macro),
    }
    found = PixelCounts.of(answer, truth).as_dict()
    assert found == {name: pytest.approx(float(value)) for name, value in expected.items()}


def test_an_answer_by_chance_has_no_kappa_though_most_pixels_are_right() -> None:
    # One pixel of ten is answered and one of ten is true, independently of each other.
    counts = PixelCounts(1, 9, 9, 81)
    assert counts.accuracy == 0.82
    assert counts.kappa == 0


def test_kappa_does_not_overflow_on_a_country() -> None:
    counts = PixelCounts(10**12, 10**12, 10**12, 10**13)
    assert counts.kappa == pytest.approx(PixelCounts(1, 1, 1, 10).kappa)


def test_counts_survive_as_an_array() -> None:
    assert HAND.as_array().tolist() == [6, 2, 4, 88]
    assert PixelCounts.from_array(HAND.as_array()) == HAND


def test_pooled_counts_are_those_of_the_images_side_by_side() -> None:
    pairs = [masks(seed, change) for seed, change in enumerate((0.1, 0.4, 0.0))]
    pooled = sum((PixelCounts.of(*pair) for pair in pairs), PixelCounts())
    assert pooled == PixelCounts.of(*(np.hstack(side) for side in zip(*pairs, strict=True)))
    mean = np.mean([PixelCounts.of(*pair).iou for pair in pairs])
    assert abs(pooled.iou - mean) > 0.01


def test_swapping_answer_and_truth_swaps_precision_and_recall() -> None:
    answer, truth = masks(0)
    there, back = PixelCounts.of(answer, truth), PixelCounts.of(truth, answer)
    assert (there.precision, there.recall) == (back.recall, back.precision)
    assert (there.f1, there.iou, there.macro_f1) == (back.f1, back.iou, back.macro_f1)


def test_macro_metrics_do_not_care_which_class_is_change() -> None:
    answer, truth = masks(0)
    there, inverse = PixelCounts.of(answer, truth), PixelCounts.of(~answer, ~truth)
    assert there.macro_f1 == inverse.macro_f1
    assert there.macro_iou == inverse.macro_iou
    assert there.macro_precision == inverse.macro_precision
    assert there.macro_recall == inverse.macro_recall
    assert there.kappa == inverse.kappa
    assert there.f1 != inverse.f1


def test_f1_and_iou_tell_the_same() -> None:
    for seed in range(5):
        counts = PixelCounts.of(*masks(seed))
        assert counts.f1 == pytest.approx(2 * counts.iou / (1 + counts.iou))


def test_the_truth_itself_is_a_perfect_answer() -> None:
    _, truth = masks(0)
    assert set(PixelCounts.of(truth, truth).as_dict().values()) == {1.0}


def test_what_has_no_positive_is_not_a_number() -> None:
    nothing = np.zeros((4, 5), bool)
    scores = PixelCounts.of(nothing, nothing).as_dict()
    undefined = {name for name, value in scores.items() if math.isnan(value)}
    assert undefined == set(scores) - {"accuracy"}
    assert scores["accuracy"] == 1


def test_an_empty_answer_misses_everything_and_a_wrong_one_is_imprecise() -> None:
    nothing, everything = np.zeros((4, 5), bool), np.ones((4, 5), bool)
    missed, invented = PixelCounts.of(nothing, everything), PixelCounts.of(everything, nothing)
    assert (missed.recall, missed.f1, missed.iou) == (0, 0, 0)
    assert math.isnan(missed.precision)
    assert (invented.precision, invented.f1, invented.iou) == (0, 0, 0)
    assert math.isnan(invented.recall)


def test_masks_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the answer is \(4, 5\), the truth \(1, 5\)"):
        PixelCounts.of(np.ones((4, 5), bool), np.ones((1, 5), bool))


def test_counts_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        HAND.true_positive = 7  # type: ignore[misc]
