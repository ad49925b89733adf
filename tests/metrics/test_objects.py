import numpy as np
import pytest
from pycocotools import mask as coco
from skimage.measure import label

from terradelta.metrics import Overlaps, connected_components
from terradelta.metrics.objects import areas

from .boxes import FAR, SQUARE, dense, random_boxes, rles


def encoded(mask: np.ndarray) -> dict[str, object]:
    rle = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode("ascii")}


def test_iou_is_that_of_the_masks_and_the_best_proposal_comes_first() -> None:
    random = np.random.default_rng(0)
    proposals, truths = random_boxes(random, 20), random_boxes(random, 6)
    scores = random.permutation(20).astype(float)
    overlaps = Overlaps.of(rles(proposals), scores, rles(truths))
    expected = [
        [(dense(p) & dense(t)).sum() / (dense(p) | dense(t)).sum() for t in truths]
        for p in (proposals[n] for n in np.argsort(-scores))
    ]
    np.testing.assert_allclose(overlaps.iou, expected)
    assert overlaps.truth_areas.tolist() == [dense(t).sum() for t in truths]


def test_proposals_of_one_score_keep_their_order() -> None:
    bars = [(0, 0, width, 1) for width in range(1, 61)]
    overlaps = Overlaps.of(rles(bars), [1.0, 0.5] * 30, rles([bars[-1]]))
    expected = [*range(1, 61, 2), *range(2, 61, 2)]
    assert (overlaps.iou[:, 0] * 60).tolist() == pytest.approx(expected)


def test_each_proposal_takes_the_best_object_that_is_left() -> None:
    overlaps = Overlaps(np.array([[0.6, 0.7], [0.55, 0.9], [0.5, 0.0]]), np.array([1, 1]))
    assert overlaps.hits(0.5).tolist() == [True, True, False]
    # The second overlaps the second object more, but that is taken and the first overlaps too little.
    assert overlaps.hits(0.6).tolist() == [True, False, False]
    assert overlaps.hits(0.8).tolist() == [False, True, False]


def test_of_two_objects_that_overlap_alike_the_last_is_taken() -> None:
    overlaps = Overlaps(np.array([[0.5, 0.5], [0.0, 0.6]]), np.array([1, 1]))
    assert overlaps.hits(0.5).tolist() == [True, False]


def test_without_proposals_or_objects_nothing_is_hit() -> None:
    for proposals, truths in (([], [SQUARE]), ([SQUARE], []), ([], [])):
        overlaps = Overlaps.of(rles(proposals), [0.5] * len(proposals), rles(truths))
        assert overlaps.iou.shape == (len(proposals), len(truths))
        assert not overlaps.hits(0.5).any()


def test_every_proposal_needs_a_score() -> None:
    with pytest.raises(ValueError, match="2 proposals have 1 scores"):
        Overlaps.of(rles([SQUARE, FAR]), [1.0], [])


def test_masks_of_different_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"different images: \[\(40, 60\), \(50, 60\)\]"):
        Overlaps.of(rles([SQUARE]), [1.0], rles([SQUARE], (50, 60)))


def test_areas_of_any_number_of_masks() -> None:
    boxes = [(0, 0, 1 + n % 50, 1 + n % 7) for n in range(600)]
    assert areas(rles(boxes)).tolist() == [x * y for _, _, x, y in boxes]


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
