from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pycocotools import mask as coco

from terradelta.sam import masks as masks_module
from terradelta.sam.masks import BoolArray, Masks

HEIGHT, WIDTH = 4, 5

stacks = st.tuples(st.integers(0, 4), st.integers(1, 7), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)
random_cases = settings(max_examples=60, deadline=None, database=None)


def rectangle(rows: slice, columns: slice) -> BoolArray:
    dense = np.zeros((HEIGHT, WIDTH), bool)
    dense[rows, columns] = True
    return dense


def numbers(dense: BoolArray, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0.1, 1, dense.shape[-2:])


def assert_same(masks: Masks, expected: Masks) -> None:
    assert masks.shape == expected.shape
    np.testing.assert_array_equal(masks.offsets, expected.offsets)
    np.testing.assert_array_equal(masks.start, expected.start)
    np.testing.assert_array_equal(masks.stop, expected.stop)


RECTANGLE = rectangle(slice(1, 3), slice(2, 5))
CORNER = rectangle(slice(0, 2), slice(3, 5))
NOTHING = rectangle(slice(0, 0), slice(0, 0))
EVERYTHING = rectangle(slice(None), slice(None))


@pytest.mark.parametrize("encode", [np.asarray, torch.from_numpy])
def test_a_pasted_rectangle_is_one_run_per_column(encode: Any) -> None:
    masks = Masks.from_dense(encode(RECTANGLE[None]))
    assert masks.start.tolist() == [9, 13, 17]
    assert masks.stop.tolist() == [11, 15, 19]
    assert masks.offsets.tolist() == [0, 3]


def test_areas_boxes_and_owners_of_rectangles() -> None:
    masks = Masks.from_dense(np.stack([RECTANGLE, NOTHING, CORNER]))
    assert masks.areas.tolist() == [6, 0, 4]
    assert masks.boxes.tolist() == [[2, 1, 5, 3], [0, 0, 0, 0], [3, 0, 5, 2]]
    assert masks.runs_per_mask.tolist() == [3, 0, 2]
    assert masks.owner.tolist() == [0, 0, 0, 2, 2]


def test_a_run_never_crosses_columns() -> None:
    full = Masks.from_dense(np.ones((1, 3, 2), bool))
    assert full.start.tolist() == [0, 3]
    assert full.stop.tolist() == [3, 6]
    assert_same(Masks.from_labels(np.zeros((3, 2), np.int32), 1), full)


def test_the_union_of_overlapping_rectangles_counts_shared_pixels_once() -> None:
    union = Masks.from_dense(np.stack([RECTANGLE, CORNER])).union()
    expected = ["00011", "00111", "00111", "00000"]
    assert ["".join(str(int(pixel)) for pixel in row) for row in union] == expected


def test_the_mean_over_a_ramp_is_its_value_at_the_centre() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    masks = Masks.from_dense(np.stack([RECTANGLE, CORNER]))
    means = masks.sums(10.0 * x - 2.0 * y + 7) / masks.areas
    np.testing.assert_allclose(means, [10 * 3 - 2 * 1.5 + 7, 10 * 3.5 - 2 * 0.5 + 7])


def test_painted_values_where_two_masks_overlap() -> None:
    masks = Masks.from_dense(np.stack([RECTANGLE, CORNER]))
    values = np.array([10.0, 40.0])
    mean = masks.paint_mean(values, np.array([1.0, 3.0]))
    largest = masks.paint_max(values)
    shared, first, second, none = (1, 3), (2, 2), (0, 4), (3, 0)
    np.testing.assert_allclose([mean[p] for p in (shared, first, second, none)], [32.5, 10, 40, 0])
    assert [largest[p] for p in (shared, first, second, none)] == [40, 10, 40, 0]


def test_the_largest_value_wins_even_below_zero() -> None:
    masks = Masks.from_dense(np.stack([CORNER, CORNER]))
    assert masks.paint_max(np.array([-1.0, -5.0]))[0, 3] == -1


def test_negative_labels_are_no_mask_and_absent_labels_are_empty() -> None:
    labels = np.array([[0, 0, -1], [3, 0, -1]], np.int32)
    masks = Masks.from_labels(labels, 4)
    assert masks.areas.tolist() == [3, 0, 0, 1]
    np.testing.assert_array_equal(masks.dense(), labels == np.arange(4)[:, None, None])


def test_no_masks_are_an_empty_stack() -> None:
    masks = Masks.empty((HEIGHT, WIDTH))
    assert len(masks) == 0
    assert masks.dense().shape == (0, HEIGHT, WIDTH)
    assert masks.boxes.shape == (0, 4)
    assert masks.areas.shape == (0,)
    assert not masks.union().any()
    assert masks.rles() == []


def test_masks_of_different_images_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="different images"):
        Masks.concatenate([Masks.empty((4, 5)), Masks.empty((5, 4))])


def test_a_crop_is_the_mask_inside_its_box() -> None:
    shape = rectangle(slice(1, 3), slice(2, 5))
    shape[2, 3] = False
    crop, x0, y0 = Masks.from_dense(np.stack([CORNER, shape])).crop(1)
    assert (x0, y0) == (2, 1)
    assert crop.tolist() == [[True, True, True], [True, False, True]]


def test_a_window_moves_to_its_place_in_the_image() -> None:
    moved = Masks.from_dense(RECTANGLE[None]).moved((9, 11), 6, 3)
    expected = np.zeros((9, 11), bool)
    expected[4:6, 8:11] = True
    np.testing.assert_array_equal(moved.dense()[0], expected)


def test_a_mask_loses_its_invalid_pixels_and_stays_if_none_are_left() -> None:
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:2, 3:] = False
    masks = Masks.from_dense(np.stack([RECTANGLE, CORNER])).restrict(valid)
    assert masks.areas.tolist() == [4, 0]
    assert masks.boxes.tolist() == [[2, 1, 5, 3], [0, 0, 0, 0]]


@pytest.mark.parametrize("dense", [RECTANGLE, CORNER, NOTHING, EVERYTHING])
def test_rles_are_those_of_pycocotools(dense: BoolArray) -> None:
    expected = coco.encode(np.asfortranarray(dense.astype(np.uint8)))
    (rle,) = Masks.from_dense(dense[None]).rles()
    assert rle == {"size": [HEIGHT, WIDTH], "counts": expected["counts"].decode("ascii")}


@random_cases
@given(dense=stacks)
def test_encoding_is_undone_by_decoding(dense: BoolArray) -> None:
    np.testing.assert_array_equal(Masks.from_dense(dense).dense(), dense)


@random_cases
@given(dense=stacks)
def test_runs_are_maximal_and_in_ascending_order_within_columns(dense: BoolArray) -> None:
    masks = Masks.from_dense(dense)
    height = masks.shape[0]
    assert (masks.start < masks.stop).all()
    np.testing.assert_array_equal(masks.start // height, (masks.stop - 1) // height)
    follows = masks.owner[1:] == masks.owner[:-1]
    touches = (masks.start[1:] == masks.stop[:-1]) & (masks.start[1:] % height > 0)
    assert (masks.start[1:] >= masks.stop[:-1])[follows].all()
    assert not (follows & touches).any()


@random_cases
@given(dense=stacks)
def test_measures_are_those_of_the_dense_masks(dense: BoolArray) -> None:
    masks, image = Masks.from_dense(dense), numbers(dense)
    np.testing.assert_array_equal(masks.areas, dense.sum((1, 2)))
    np.testing.assert_array_equal(masks.union(), dense.any(0))
    np.testing.assert_allclose(masks.sums(image), (dense * image).sum((1, 2)), atol=1e-12)
    for n, mask in enumerate(dense):
        rows, columns = np.nonzero(mask)
        box = (
            [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if rows.size else [0] * 4
        )
        assert masks.boxes[n].tolist() == box
        np.testing.assert_array_equal(masks.pixels(n), np.flatnonzero(mask.T))
        crop, x0, y0 = masks.crop(n)
        np.testing.assert_array_equal(crop, mask[y0 : int(box[3]), x0 : int(box[2])])


@random_cases
@given(dense=stacks, seed=st.integers(0, 1000))
def test_painting_is_that_of_the_dense_masks(dense: BoolArray, seed: int) -> None:
    values, weights = np.random.default_rng(seed).uniform(1, 180, (2, len(dense)))
    masks = Masks.from_dense(dense)
    weight = np.einsum("nhw,n->hw", dense, weights)
    total = np.einsum("nhw,n->hw", dense, weights * values)
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    np.testing.assert_allclose(masks.paint_mean(values, weights), mean, rtol=1e-5)
    largest = (dense * values[:, None, None]).max(0, initial=0)
    np.testing.assert_allclose(masks.paint_max(values), largest, rtol=1e-6)


@random_cases
@given(dense=stacks, data=st.data())
def test_picking_masks_is_indexing_the_stack(dense: BoolArray, data: st.DataObject) -> None:
    masks, count = Masks.from_dense(dense), len(dense)
    chosen = data.draw(arrays(np.bool_, count))
    positions = data.draw(st.lists(st.integers(0, count - 1))) if count else []
    for index in (chosen, np.array(positions, np.int64), slice(1, None, 2)):
        assert_same(masks[index], Masks.from_dense(dense[index]))


@random_cases
@given(dense=stacks, cut=st.integers(0, 4))
def test_joining_parts_gives_back_the_whole(dense: BoolArray, cut: int) -> None:
    masks = Masks.from_dense(dense)
    assert_same(Masks.concatenate([masks[:cut], masks[cut:]]), masks)


@random_cases
@given(labels=arrays(np.int32, (5, 6), elements=st.integers(-2, 3)))
def test_masks_of_labels_are_where_the_labels_are(labels: NDArray[np.int32]) -> None:
    dense = labels == np.arange(4)[:, None, None]
    assert_same(Masks.from_labels(labels, 4), Masks.from_dense(dense))


@random_cases
@given(dense=stacks, data=st.data())
def test_restricting_is_the_intersection_with_valid(dense: BoolArray, data: st.DataObject) -> None:
    valid = data.draw(arrays(np.bool_, dense.shape[1:]))
    assert_same(Masks.from_dense(dense).restrict(valid), Masks.from_dense(dense & valid))


@random_cases
@given(dense=stacks, above=st.integers(0, 3), left=st.integers(0, 3), more=st.integers(0, 3))
def test_moving_is_padding(dense: BoolArray, above: int, left: int, more: int) -> None:
    padded = np.pad(dense, ((0, 0), (above, more), (left, 3 - left)))
    moved = Masks.from_dense(dense).moved(padded.shape[1:], left, above)
    assert_same(moved, Masks.from_dense(padded))


@random_cases
@given(dense=stacks)
def test_random_rles_are_those_of_pycocotools(dense: BoolArray) -> None:
    for rle, mask in zip(Masks.from_dense(dense).rles(), dense, strict=True):
        expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert rle["counts"] == expected["counts"].decode("ascii")
        assert rle["size"] == list(mask.shape)


@pytest.mark.parametrize("pixels", [1, 7, 40])
def test_masks_may_be_worked_on_in_small_pieces(
    monkeypatch: pytest.MonkeyPatch, pixels: int
) -> None:
    monkeypatch.setattr(masks_module, "PIXELS_PER_CHUNK", pixels)
    dense = np.random.default_rng(0).random((6, HEIGHT, WIDTH)) < 0.4
    dense[2] = False
    values = np.array([3.0, 1.0, 6.0, 2.0, 5.0, 4.0])
    masks = Masks.from_dense(dense)
    np.testing.assert_array_equal(masks.dense(), dense)
    largest = (dense * values[:, None, None]).max(0)
    np.testing.assert_array_equal(masks.paint_max(values), largest)
