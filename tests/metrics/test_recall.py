import contextlib
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage

from terradelta.metrics import Overlaps, RecallCounts
from terradelta.metrics.recall import SIZES
from terradelta.sam.masks import Masks

from .boxes import FAR, SQUARE, Box, dense, random_boxes, rles

RLE = dict[str, Any]
Image = tuple[Sequence[RLE], Sequence[float], Sequence[RLE]]


def boxed(proposals: Sequence[Box], scores: Sequence[float], truths: Sequence[Box]) -> Image:
    return rles(proposals), scores, rles(truths)


def counts_of(*images: Image) -> RecallCounts:
    return sum((RecallCounts.of(Overlaps.of(*image)) for image in images), RecallCounts())


def recall_of(*images: Image) -> float:
    return counts_of(*images).as_dict()["ar@1000"]


def coco_recall(images: Sequence[Image]) -> dict[str, float]:
    """What pycocotools makes of the same masks, by way of its files of annotations and results."""
    shapes = [next(r["size"] for r in (*found, *truths)) for found, _, truths in images]
    annotations, results = [], []
    for image, (found, scores, truths) in enumerate(images, 1):
        where = {"image_id": image, "category_id": 1}
        annotations += [{**where, "segmentation": rle, "iscrowd": 0} for rle in truths]
        results += [
            {**where, "segmentation": rle, "score": float(score)}
            for rle, score in zip(found, scores, strict=True)
        ]
    for number, annotation in enumerate(annotations, 1):
        annotation |= {"id": number, "area": float(coco.area(annotation["segmentation"]))}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n, "height": h, "width": w} for n, (h, w) in enumerate(shapes, 1)],
            "annotations": annotations,
            "categories": [{"id": 1, "name": "change"}],
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.maxDets = [1000]
        # The ranges of areas are its own: all, small, medium, large.
        evaluation.evaluate()
        evaluation.accumulate()
    recall = evaluation.eval["recall"].mean((0, 1, 3))
    return {
        name: float(value) if value >= 0 else math.nan
        for name, value in zip(SIZES, recall, strict=True)
    }


def blobs(random: np.random.Generator, width: float, share: float) -> np.ndarray:
    """Objects [N, 300, 300] of random outline; the wider the blur, the larger."""
    field = ndimage.gaussian_filter(random.normal(size=(300, 300)), width)
    labels, count = ndimage.label(field > np.quantile(field, 1 - share))
    return labels == np.arange(1, count + 1)[:, None, None]


def shaken(random: np.random.Generator, objects: np.ndarray) -> np.ndarray:
    """The objects, displaced and grown or shrunk a little."""
    ways = ndimage.binary_dilation, ndimage.binary_erosion
    moved = [np.roll(mask, random.integers(-2, 3, 2), (0, 1)) for mask in objects]
    return np.array(
        [ways[random.integers(2)](mask, iterations=random.integers(1, 4)) for mask in moved]
    )


def direct_recall(images: Sequence[tuple[Sequence[Box], Sequence[float], Sequence[Box]]]) -> float:
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


def test_an_iou_of_13_of_15_is_a_hit_at_8_thresholds_of_10() -> None:
    assert recall_of(boxed([(0, 0, 13, 1)], [1.0], [(0, 0, 15, 1)])) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("width", "hits"), [(100, 10), (96, 10), (95, 10), (94, 9), (51, 1), (50, 1), (49, 0)]
)
def test_an_iou_that_equals_a_threshold_is_a_hit(width: int, hits: int) -> None:
    bar = (1, 100)
    image = rles([(0, 0, width, 1)], bar), [0.5], rles([(0, 0, 100, 1)], bar)
    assert recall_of(image) == pytest.approx(hits / 10)


def test_recall_is_pooled_over_the_objects_of_all_images() -> None:
    found = boxed([SQUARE], [1.0], [SQUARE])
    missed = boxed([SQUARE], [1.0], [FAR, (50, 0, 55, 5), (0, 30, 5, 35)])
    assert recall_of(found, missed) == pytest.approx(1 / 4)
    assert recall_of(missed, found) == pytest.approx(1 / 4)


def test_a_proposal_finds_one_object_only() -> None:
    assert recall_of(boxed([SQUARE], [1.0], [SQUARE, SQUARE])) == pytest.approx(1 / 2)
    assert recall_of(boxed([SQUARE, SQUARE], [1.0, 0.5], [SQUARE, SQUARE])) == pytest.approx(1)


def test_false_proposals_cost_nothing() -> None:
    false = [(x, 20, x + 5, 25) for x in range(20)]
    assert recall_of(boxed([*false, SQUARE], [1.0] * 20 + [0.0], [SQUARE])) == 1


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
    assert recall_of(*(boxed(*image) for image in images)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_recall_by_size_is_that_of_pycocotools(seed: int) -> None:
    """Objects of all sizes, scores that repeat, an image without objects and one without proposals."""
    random = np.random.default_rng(seed)
    images: list[Image] = []
    for width in (5, 9, 15):
        truths = blobs(random, width, 0.4)
        near = shaken(random, truths), shaken(random, truths), blobs(random, 9, 0.3)
        proposals = Masks.from_dense(np.concatenate(near)).rles()
        scores = random.integers(0, 5, len(proposals)).tolist()
        images.append((proposals, scores, Masks.from_dense(truths).rles()))
    images += [(images[0][0], images[0][1], []), ([], [], images[1][2])]
    expected = coco_recall(images)
    assert all(0.1 < value < 0.9 for value in expected.values())
    assert counts_of(*images).as_dict() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_recall_of_a_crowd_is_that_of_pycocotools(seed: int) -> None:
    """Objects on top of each other, with many equal overlaps to choose from."""
    random = np.random.default_rng(seed)
    boxes = [(x, y, x + 8, y + 8) for x, y in random.integers(0, 12, (60, 2)).tolist()]
    scores = random.integers(0, 3, 40).tolist()
    image = boxed(boxes[:40], scores, boxes[40:])
    assert counts_of(image).as_dict()["ar@1000"] == pytest.approx(coco_recall([image])["ar@1000"])


def test_recall_of_more_than_1000_proposals_is_that_of_pycocotools() -> None:
    random = np.random.default_rng(0)
    truths = random_boxes(random, 10)
    near = [tuple(np.add(box, random.integers(-1, 2, 4)).clip(0).tolist()) for box in truths * 20]
    proposals = [*near, *random_boxes(random, 1200)]
    scores = random.permutation(len(proposals)) / 100
    scores[:10] = -1
    image = boxed(proposals, scores.tolist(), truths)
    cut = counts_of(image).as_dict()["ar@1000"]
    assert cut == pytest.approx(coco_recall([image])["ar@1000"])
    order = np.argsort(-scores)[:1000]
    best = [proposals[n] for n in order]
    assert cut == recall_of(boxed(best, scores[order].tolist(), truths))


@pytest.mark.parametrize(
    ("side", "sizes"),
    [
        (31, ["small"]),
        (32, ["small", "medium"]),
        (33, ["medium"]),
        (95, ["medium"]),
        (96, ["medium", "large"]),
        (97, ["large"]),
    ],
)
def test_a_size_holds_both_its_ends(side: int, sizes: list[str]) -> None:
    square = rles([(0, 0, side, side)], (100, 100))
    recall = counts_of((square, [1.0], square)).as_dict()
    there = {name for name, value in recall.items() if not math.isnan(value)}
    assert there == {"ar@1000", *(f"ar_{size}@1000" for size in sizes)}
    expected = coco_recall([(square, [1.0], square)])
    assert recall == pytest.approx(expected, nan_ok=True)


def test_an_object_of_another_size_does_not_take_a_proposal_away() -> None:
    """The best overlap of the only proposal is the large object; the small one is found all the same."""
    shape = (100, 200)
    truths = rles([(0, 0, 40, 25), (0, 0, 50, 25)], shape)
    image = rles([(0, 0, 46, 25)], shape), [1.0], truths
    recall = counts_of(image).as_dict()
    assert recall["ar_small@1000"] == pytest.approx(8 / 10)
    assert recall["ar_medium@1000"] == pytest.approx(9 / 10)
    assert recall == pytest.approx(coco_recall([image]), nan_ok=True)


@pytest.mark.parametrize(("rank", "expected"), [(1, 1), (101, 1), (500, 1), (1000, 1), (1001, 0)])
def test_the_1000_best_proposals_of_an_image_count(rank: int, expected: float) -> None:
    proposals = [FAR] * 1100
    proposals[rank - 1] = SQUARE
    scores = np.linspace(1, -1, 1100)
    shuffled = np.random.default_rng(0).permutation(1100)
    image = boxed([proposals[n] for n in shuffled], scores[shuffled].tolist(), [SQUARE])
    assert recall_of(image) == expected


def test_the_limit_is_per_image() -> None:
    image = boxed([FAR] * 599 + [SQUARE], np.linspace(1, -1, 600).tolist(), [SQUARE])
    assert recall_of(image, image) == 1


def test_without_objects_recall_is_not_a_number_and_without_proposals_zero() -> None:
    assert all(math.isnan(value) for value in RecallCounts().as_dict().values())
    assert math.isnan(recall_of(boxed([SQUARE], [1.0], [])))
    assert math.isnan(recall_of(boxed([], [], [])))
    missed = boxed([], [], [SQUARE])
    assert recall_of(missed) == 0
    assert recall_of(boxed([], [], []), missed, boxed([SQUARE], [1.0], [])) == 0


def test_counts_survive_as_an_array_and_add_as_such() -> None:
    one = counts_of(boxed([SQUARE], [1.0], [SQUARE, FAR]))
    two = counts_of(boxed([(0, 0, 10, 8)], [1.0], [SQUARE]))
    added = RecallCounts.from_array(one.as_array() + two.as_array())
    assert added.as_array().tolist() == (one + two).as_array().tolist()
    assert added.truths.tolist() == [3, 3, 0, 0]
    assert added.matched[0].tolist() == [2] * 7 + [1] * 3
