import math

import numpy as np
import pytest

from terradelta.metrics import SemanticCounts

CLASSES = 7
Dates = tuple[np.ndarray, np.ndarray]


def made(seed: int, side: int = 60) -> tuple[Dates, Dates]:
    """An answer and a truth that agree on where change is in nine pixels of ten, and on half of what."""
    random = np.random.default_rng(seed)
    changed = random.random((side, side)) < 0.3
    truth = random.integers(1, CLASSES, (2, side, side)) * changed
    answered = changed ^ (random.random((side, side)) < 0.1)
    guess = random.integers(1, CLASSES, (2, side, side))
    right = (random.random((2, side, side)) < 0.5) & (truth > 0)
    answer = np.where(right, truth, guess) * answered
    return tuple(answer.astype(np.uint8)), tuple(truth.astype(np.uint8))


def test_metrics_are_those_worked_out_by_hand() -> None:
    counts = SemanticCounts(np.array([[50, 2, 3], [4, 10, 5], [1, 6, 19]]))
    assert counts.iou_no_change == 50 / 60
    assert counts.iou_change == 40 / 50
    assert counts.miou == pytest.approx((50 / 60 + 40 / 50) / 2)
    # Without the 50: rows 5, 19, 26, columns 5, 18, 27, 29 of 50 on the diagonal.
    by_chance = (5 * 5 + 19 * 18 + 26 * 27) / 50**2
    kappa = (29 / 50 - by_chance) / (1 - by_chance)
    assert counts.sek == pytest.approx(math.exp(40 / 50 - 1) * kappa)
    assert counts.score == pytest.approx(0.3 * counts.miou + 0.7 * counts.sek)
    precision, recall = 29 / 45, 29 / 45
    assert counts.f_scd == pytest.approx(2 * precision * recall / (precision + recall))


def test_land_cover_of_both_dates_is_counted_with_the_answer_in_the_rows() -> None:
    answer = np.array([[1, 2, 0]], np.uint8), np.array([[2, 2, 0]], np.uint8)
    truth = np.array([[1, 0, 2]], np.uint8), np.array([[2, 0, 1]], np.uint8)
    counts = SemanticCounts.of_land_cover(answer, truth, 3)
    assert counts.confusion.tolist() == [[0, 1, 1], [0, 1, 0], [2, 0, 1]]


def test_change_types_are_pairs_of_classes() -> None:
    answer = np.array([[1, 2, 2, 0, 1]], np.uint8), np.array([[1, 1, 2, 0, 0]], np.uint8)
    counts = SemanticCounts.of_change_types(answer, answer, 3)
    # No change (and a class in one date only), 1 to 1, 1 to 2, 2 to 1, 2 to 2.
    assert np.diag(counts.confusion).tolist() == [2, 1, 0, 1, 1]
    assert counts.confusion.sum() == 5


@pytest.mark.parametrize("seed", range(4))
def test_metrics_are_made_of_those_of_scikit_learn(seed: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    answer, truth = made(seed)
    counts = SemanticCounts.of_land_cover(answer, truth, CLASSES)
    a, t = np.concatenate(answer).ravel(), np.concatenate(truth).ravel()
    assert counts.confusion.T.tolist() == sklearn.confusion_matrix(t, a).tolist()
    assert counts.iou_no_change == pytest.approx(sklearn.jaccard_score(t == 0, a == 0))
    assert counts.iou_change == pytest.approx(sklearn.jaccard_score(t > 0, a > 0))
    seen = (a > 0) | (t > 0)
    kappa = sklearn.cohen_kappa_score(t[seen], a[seen])
    assert counts.sek == pytest.approx(kappa * math.exp(counts.iou_change - 1))
    f1 = sklearn.f1_score(t, a, labels=range(1, CLASSES), average="micro")
    assert counts.f_scd == pytest.approx(f1)


def test_change_types_are_scored_as_torchange_does() -> None:
    torchange = pytest.importorskip("torchange.metrics.second")
    answer, truth = made(9)
    counts = SemanticCounts.of_change_types(answer, truth, CLASSES)

    def types(dates: Dates) -> np.ndarray:
        before, after = (date.astype(int) for date in dates)
        return np.where(before > 0, (before - 1) * 6 + after - 1 + 1, 0)

    theirs = torchange.score_summary(torchange.get_hist(types(answer), types(truth), 37))
    assert counts.miou == pytest.approx(theirs["SECOND/mIoU"])
    assert counts.sek == pytest.approx(theirs["SECOND/Sek"])
    assert counts.score == pytest.approx(theirs["SECOND/Score"])
    assert counts.sek < SemanticCounts.of_land_cover(answer, truth, CLASSES).sek


def test_the_truth_itself_is_a_perfect_answer() -> None:
    _, truth = made(0)
    for count in (SemanticCounts.of_land_cover, SemanticCounts.of_change_types):
        assert list(count(truth, truth, CLASSES).as_dict().values()) == pytest.approx([1.0] * 6)


def test_rightly_unchanged_pixels_count_in_miou_only() -> None:
    q = SemanticCounts.of_land_cover(*made(1), CLASSES).confusion
    more = q.copy()
    more[0, 0] += 10**9
    few, many = SemanticCounts(q), SemanticCounts(more)
    assert (few.sek, few.f_scd) == (many.sek, many.f_scd)
    assert few.miou < many.miou


def test_a_wrong_class_in_the_right_place_costs_sek_and_f_scd() -> None:
    _, (before, after) = made(2)
    other = np.where(after > 0, after % 6 + 1, 0).astype(np.uint8)
    counts = SemanticCounts.of_land_cover((before, other), (before, after), CLASSES)
    assert counts.miou == 1
    assert counts.f_scd == pytest.approx(0.5)
    assert counts.sek < 0.6


def test_pooled_counts_are_those_of_the_images_side_by_side() -> None:
    images = [made(seed) for seed in range(3)]
    pooled = sum(
        (SemanticCounts.of_land_cover(*image, CLASSES) for image in images[1:]),
        SemanticCounts.of_land_cover(*images[0], CLASSES),
    )
    answer, truth = (
        tuple(np.hstack([image[side][date] for image in images]) for date in (0, 1))
        for side in (0, 1)
    )
    together = SemanticCounts.of_land_cover(answer, truth, CLASSES)
    assert pooled.confusion.tolist() == together.confusion.tolist()
    again = SemanticCounts.from_array(together.as_array())
    assert again.as_dict() == together.as_dict()


def test_without_change_only_the_iou_of_no_change_is_a_number() -> None:
    nothing = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8)
    scores = SemanticCounts.of_land_cover(nothing, nothing, CLASSES).as_dict()
    assert {name for name, value in scores.items() if not math.isnan(value)} == {"iou_no_change"}


def test_what_does_not_fit_is_refused() -> None:
    (before, after), truth = made(0)
    with pytest.raises(ValueError, match=r"the answer is \(59, 60\), the truth \(60, 60\)"):
        SemanticCounts.of_land_cover((before[1:], after[1:]), truth, CLASSES)
    with pytest.raises(ValueError, match="class 6 is not one of 6"):
        SemanticCounts.of_land_cover((before, after), truth, 6)
    one, six = np.full((2, 2), 1, np.uint8), np.full((2, 2), 6, np.uint8)
    with pytest.raises(ValueError, match="class 6 is not one of 6"):
        SemanticCounts.of_change_types((one, six), (one, one), 6)
