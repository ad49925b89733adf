import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.sam.descriptors import CHANNEL_WEIGHTS
from terradelta.sam.masks import BoolArray
from terradelta.sam.regions import SCALES, RegionSegmenter
from terradelta.sam.segmenter import RGB, Encoded

HEIGHT, WIDTH = 96, 80
ROOF = (slice(30, 60), slice(20, 55))
ON_ROOF, ON_MEADOW = (37.0, 45.0), (5.0, 5.0)


@pytest.fixture(scope="module")
def segmenter() -> RegionSegmenter:
    return RegionSegmenter()


@pytest.fixture(scope="module")
def roof_on_meadow() -> RGB:
    image = np.full((HEIGHT, WIDTH, 3), (60, 120, 60), np.uint8)
    image[ROOF] = (200, 60, 50)
    return image


@pytest.fixture(scope="module")
def encoded(segmenter: RegionSegmenter, roof_on_meadow: RGB) -> Encoded:
    return segmenter.encode(roof_on_meadow)


@pytest.fixture(scope="module")
def blobs(segmenter: RegionSegmenter) -> Encoded:
    noise = np.random.default_rng(0).normal(size=(HEIGHT, WIDTH, 3))
    smooth = ndimage.gaussian_filter(noise, (4, 4, 0))
    image = np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return segmenter.encode(image)


def overlap(mask: BoolArray, truth: BoolArray) -> float:
    return (mask & truth).sum() / (mask | truth).sum()


def grid() -> NDArray[np.float64]:
    x, y = np.meshgrid(np.arange(2.0, WIDTH, 8), np.arange(2.0, HEIGHT, 8))
    return np.stack([x.ravel(), y.ravel()], 1)


def test_a_click_on_a_roof_is_answered_by_the_roof(
    segmenter: RegionSegmenter, encoded: Encoded
) -> None:
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[ROOF] = True
    for click, expected in ((ON_ROOF, truth), (ON_MEADOW, ~truth)):
        masks = segmenter.decode(encoded, np.array([click])).masks.dense()
        assert len(masks) == len(SCALES)
        assert min(overlap(mask, expected) for mask in masks) > 0.99


def test_the_masks_of_a_point_hold_it_and_grow_with_the_scale(
    segmenter: RegionSegmenter, blobs: Encoded
) -> None:
    for x, y in grid():
        small, middle, large = segmenter.decode(blobs, np.array([[x, y]])).masks.dense()
        assert small[int(y), int(x)]
        assert not (small & ~middle).any()
        assert not (middle & ~large).any()


def test_a_faint_roof_stands_out_as_much_as_a_vivid_one(segmenter: RegionSegmenter) -> None:
    click, answers = np.array([ON_ROOF]), []
    for step in (100, 20):
        image = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
        image[ROOF] += step
        answers.append(segmenter.decode(segmenter.encode(image), click))
    vivid, faint = answers
    assert len(vivid) == len(SCALES)
    np.testing.assert_array_equal(faint.masks.areas, vivid.masks.areas)
    np.testing.assert_allclose(faint.iou, vivid.iou, atol=0.01)


def test_a_region_hit_twice_is_returned_once_for_the_first_point(
    segmenter: RegionSegmenter, encoded: Encoded
) -> None:
    clicks = np.array([ON_MEADOW, ON_ROOF, (40.0, 50.0), (70.0, 90.0)])
    proposals = segmenter.decode(encoded, clicks)
    assert sorted(proposals.point.tolist()) == [0, 0, 0, 1, 1, 1]
    areas = proposals.masks.areas
    assert areas[proposals.point == 0].min() > areas[proposals.point == 1].max()


def test_a_point_between_pixel_centres_belongs_to_the_pixel_it_lies_in(
    segmenter: RegionSegmenter, blobs: Encoded
) -> None:
    for x, y in grid()[::7]:
        corner, inside = (
            segmenter.decode(blobs, np.array([point])).masks.dense()
            for point in ((x, y), (x + 0.99, y + 0.99))
        )
        np.testing.assert_array_equal(corner, inside)


def test_no_points_have_no_masks(segmenter: RegionSegmenter, encoded: Encoded) -> None:
    assert len(segmenter.decode(encoded, np.zeros((0, 2)))) == 0


def test_only_masks_that_reach_the_limits_are_returned(
    segmenter: RegionSegmenter, blobs: Encoded
) -> None:
    every = segmenter.decode(blobs, grid())
    iou, stability = float(np.median(every.iou)), float(np.median(every.stability))
    some = segmenter.decode(blobs, grid(), min_iou=iou, min_stability=stability)
    expected = every[(every.iou > iou) & (every.stability >= stability)]
    assert 0 < len(some) < len(every)
    np.testing.assert_array_equal(some.masks.dense(), expected.masks.dense())
    np.testing.assert_array_equal(some.point, expected.point)


def test_predicted_iou_must_exceed_its_limit_and_stability_must_reach_it(
    segmenter: RegionSegmenter, encoded: Encoded
) -> None:
    (click,) = np.array([[ON_ROOF]])
    iou = segmenter.decode(encoded, click).iou.max()
    assert len(segmenter.decode(encoded, click, min_iou=iou)) == 0
    assert len(segmenter.decode(encoded, click, min_stability=1.0)) == len(SCALES)


def test_the_embedding_has_a_cell_for_every_two_pixels(
    segmenter: RegionSegmenter, roof_on_meadow: RGB
) -> None:
    encoded = segmenter.encode(roof_on_meadow[:-1, :-3])
    z, rows, columns = encoded.embedding.z, encoded.embedding.rows, encoded.embedding.columns
    assert encoded.shape == (95, 77)
    assert z.shape == (len(CHANNEL_WEIGHTS) + 1, 48, 39)
    assert z.dtype == torch.float32
    assert (len(rows.lower), len(columns.lower)) == (95, 77)
    assert (rows.lower + rows.fraction)[:4].tolist() == [0, 0.25, 0.75, 1.25]
    assert (rows.upper.max(), columns.upper.max()) == (47, 38)


def test_an_image_alone_is_encoded_as_a_pair_with_itself(
    segmenter: RegionSegmenter, roof_on_meadow: RGB, encoded: Encoded
) -> None:
    valid = np.ones((HEIGHT, WIDTH), bool)
    contexts = segmenter.pair_contexts(roof_on_meadow, roof_on_meadow, valid)
    for context in contexts:
        assert torch.equal(
            segmenter.encode(roof_on_meadow, context).embedding.z, encoded.embedding.z
        )


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_a_constant_image_has_an_embedding_and_no_objects(
    segmenter: RegionSegmenter, grey: int
) -> None:
    encoded = segmenter.encode(np.full((40, 33, 3), grey, np.uint8))
    assert torch.isfinite(encoded.embedding.z).all()
    assert len(segmenter.decode(encoded, np.array([[3.0, 3.0], [30.0, 20.0]]))) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (3, 1), (5, 7)])
def test_the_smallest_images_can_be_segmented(
    segmenter: RegionSegmenter, shape: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    proposals = segmenter.decode(segmenter.encode(image), np.array([[0.5, 0.5]]))
    assert proposals.masks.shape == shape
    assert proposals.masks.dense()[:, 0, 0].all()
