import math
from collections.abc import Sequence

import numpy as np
import pytest
from pycocotools import mask as coco
from skimage.measure import label

from terradelta.metrics import ObjectRecall, connected_components
from terradelta.sam.masks import Masks

SHAPE = (40, 60)
Box = tuple[int, int, int, int]
Image = tuple[Sequence[Box], Sequence[float], Sequence[Box]]


def dense(box: Box) -> np.ndarray:
    """The rectangle x0, y0, x1, y1 as a mask."""
    mask = np.zeros(SHAPE, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def rles(boxes: Sequence[Box]) -> list[dict[str, object]]:
    return Masks.from_dense(np.array([dense(box) for box in boxes])).rles() if boxes else []


def encoded(mask: np.ndarray) -> dict[str, object]:
    rle = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode("ascii")}


def recall_of(*images: Image) -> float:
    recall = ObjectRecall()
    for proposals, scores, truths in images:
        recall.add(rles(proposals), scores, rles(truths))
    return recall.value()


def direct_recall(images: Sequence[Image]) -> float:
    """The definition: per threshold, each proposal in turn takes the best truth that is left."""
    found = np.zeros(10)
    for proposals, scores, truths in images:
        iou = np.array([[_iou(dense(p), dense(t)) for t in truths] for p in proposals])
        for n, threshold in enumerate(np.linspace(0.5, 0.95, 10)):
            free = np.ones(len(truths), bool)
            for proposal in np.argsort(-np.array(scores), kind="stable"):
                best = int(np.argmax(np.where(free, iou[proposal], -1)))
                if free[best] and iou[proposal, best] >= threshold:
                    free[best] = False
                    found[n] += 1
    return float(found.mean() / sum(len(truths) for _, _, truths in images))


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def random_boxes(random: np.random.Generator, count: int) -> list[Box]:
    corners = random.integers([0, 0], [45, 25], (count, 2))
    sizes = random.integers(5, 15, (count, 2))
    return [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)]


def test_an_iou_of_13_of_15_is_a_hit_at_8_thresholds_of_10() -> None:
    assert recall_of(([(0, 0, 13, 1)], [1.0], [(0, 0, 15, 1)])) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("width", "hits"), [(100, 10), (96, 10), (95, 10), (94, 9), (51, 1), (50, 1), (49, 0)]
)
def test_an_iou_that_equals_a_threshold_is_a_hit(width: int, hits: int) -> None:
    truth = Masks.from_dense(np.ones((1, 1, 100), bool)).rles()
    mask = np.zeros((1, 1, 100), bool)
    mask[..., :width] = True
    recall = ObjectRecall()
    recall.add(Masks.from_dense(mask).rles(), [0.5], truth)
    assert recall.value() == pytest.approx(hits / 10)


def test_recall_is_pooled_over_the_objects_of_all_images() -> None:
    square, far = (0, 0, 10, 10), (30, 20, 40, 30)
    found = ([square], [1.0], [square])
    missed = ([square], [1.0], [far, (50, 0, 55, 5), (0, 30, 5, 35)])
    assert recall_of(found, missed) == pytest.approx(1 / 4)
    assert recall_of(missed, found) == pytest.approx(1 / 4)


def test_a_proposal_finds_one_object_only() -> None:
    square = (0, 0, 10, 10)
    assert recall_of(([square], [1.0], [square, square])) == pytest.approx(1 / 2)
    assert recall_of(([square, square], [1.0, 0.5], [square, square])) == pytest.approx(1)


def test_false_proposals_cost_nothing() -> None:
    square = (0, 0, 10, 10)
    false = [(x, 20, x + 5, 25) for x in range(20)]
    assert recall_of(([*false, square], [1.0] * 20 + [0.0], [square])) == 1


@pytest.mark.parametrize("seed", range(6))
def test_recall_is_that_of_its_definition(seed: int) -> None:
    random = np.random.default_rng(seed)
    images = []
    for count in (1, 4, 7):
        truths = random_boxes(random, count)
        near = [tuple(np.add(box, random.integers(-1, 2, 4)).clip(0).tolist()) for box in truths]
        proposals = [*near, *near[:2], *random_boxes(random, 10)]
        images.append((proposals, random.permutation(len(proposals)).tolist(), truths))
    expected = direct_recall(images)
    assert 0.1 < expected < 0.9
    assert recall_of(*images) == pytest.approx(expected)


@pytest.mark.parametrize(("rank", "expected"), [(1, 1), (101, 1), (500, 1), (1000, 1), (1001, 0)])
def test_the_1000_best_proposals_of_an_image_count(rank: int, expected: float) -> None:
    square, elsewhere = (0, 0, 10, 10), (30, 20, 35, 25)
    proposals = [elsewhere] * 1100
    proposals[rank - 1] = square
    scores = np.linspace(1, -1, 1100)
    shuffled = np.random.default_rng(0).permutation(1100)
    image = [proposals[n] for n in shuffled], scores[shuffled].tolist(), [square]
    assert recall_of(image) == expected


def test_the_limit_is_per_image() -> None:
    square, elsewhere = (0, 0, 10, 10), (30, 20, 35, 25)
    image = [elsewhere] * 599 + [square], np.linspace(1, -1, 600).tolist(), [square]
    assert recall_of(image, image) == 1


def test_without_objects_recall_is_not_a_number_and_without_proposals_zero() -> None:
    square = (0, 0, 10, 10)
    assert math.isnan(ObjectRecall().value())
    assert math.isnan(recall_of(([square], [1.0], [])))
    assert math.isnan(recall_of(([], [], [])))
    assert recall_of(([], [], [square])) == 0
    assert recall_of(([], [], []), ([], [], [square]), ([square], [1.0], [])) == 0


def test_images_can_be_added_after_a_value_was_asked_for() -> None:
    square = (0, 0, 10, 10)
    recall = ObjectRecall()
    recall.add(rles([square]), [1.0], rles([square]))
    assert recall.value() == recall.value() == 1
    recall.add([], [], rles([square]))
    assert recall.value() == pytest.approx(1 / 2)


def test_every_proposal_needs_a_score() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ObjectRecall().add(rles([(0, 0, 10, 10)] * 2), [1.0], [])


def test_asking_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    recall_of(([(0, 0, 10, 10)], [1.0], [(0, 0, 10, 10)]))
    assert capsys.readouterr() == ("", "")


def test_pixels_that_touch_at_a_corner_are_one_object() -> None:
    mask = np.eye(5, dtype=bool) | np.eye(5, dtype=bool)[::-1]
    mask[0, 4] = False
    assert connected_components(mask) == [encoded(mask)]


def test_no_pixels_are_no_objects() -> None:
    assert connected_components(np.zeros((4, 5), bool)) == []


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 1.0])
def test_objects_are_the_components_that_scikit_image_labels(share: float) -> None:
    mask = np.random.default_rng(0).random((30, 45)) < share
    labels, count = label(mask, connectivity=2, return_num=True)
    objects = connected_components(mask)
    assert len(objects) == count
    assert all(encoded(labels == n) in objects for n in range(1, count + 1))
