import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from terradelta.errors import QueryError
from terradelta.geo.pair import load_pair
from terradelta.sam.masks import Masks
from terradelta.sam.proposals import ProposalSettings
from terradelta.sam.regions import RegionSegmenter
from terradelta.zeroshot.candidates import Candidates, Examined, search
from terradelta.zeroshot.matching import mask_means
from terradelta.zeroshot.query import Click, angle_to_query, parse_clicks, query_embedding

SHAPE = (30, 50)
SETTINGS = ProposalSettings(points_per_side=16, pred_iou=0, stability=0, nms=0.7)


class RegionsOnACanvas(RegionSegmenter):
    """Claims a canvas, so that a pair is looked at window by window."""

    canvas_px = 64


@pytest.fixture(scope="module")
def examined(village: Any) -> list[Examined]:
    pair = load_pair(village.before, village.after)
    return search(RegionSegmenter(), pair, SETTINGS, 1).examined


@pytest.fixture(scope="module")
def windows(village: Any) -> list[Examined]:
    """The whole, and four windows of 101 x 74 px: the corners of 176 x 128 px."""
    pair = load_pair(village.before, village.after)
    return search(RegionsOnACanvas(), pair, SETTINGS, 2).examined


@pytest.mark.parametrize(
    "point",
    [
        (3, 4, "after"),
        [3.0, 4.0, "after"],
        Click(3, 4, "after"),
        (np.int64(3), np.float32(4), "after"),
    ],
)
def test_a_click_is_x_y_and_a_date(point: Any) -> None:
    assert parse_clicks([point], SHAPE) == [Click(3.0, 4.0, "after")]


@pytest.mark.parametrize("corner", [(0, 0), (49.99, 0), (0, 29.99), (49.99, 29.99)])
def test_the_corners_of_the_image_can_be_clicked(corner: tuple[float, float]) -> None:
    assert parse_clicks([(*corner, "before")], SHAPE) == [Click(*corner, "before")]


@pytest.mark.parametrize(
    ("point", "named"),
    [
        ((50, 4, "after"), "click (50, 4, after) lies outside the image, which is 50 x 30 px"),
        ((4, 30, "after"), "click (4, 30, after) lies outside"),
        ((-0.1, 4, "before"), "click (-0.1, 4, before) lies outside"),
        ((3, -1, "before"), "click (3, -1, before) lies outside"),
        ((float("nan"), 4, "after"), "click (nan, 4, after) lies outside"),
        ((3, float("inf"), "after"), "click (3, inf, after) lies outside"),
        ((3, 4, "during"), "click (3, 4, during): the date must be 'before' or 'after'"),
        ((3, 4, "After"), "click (3, 4, After): the date"),
        ((3, 4), "click (3, 4) is not (x, y, 'before' or 'after')"),
        (("left", 4, "after"), "click ('left', 4, 'after') is not"),
        ((None, 4, "after"), "click (None, 4, 'after') is not"),
        (7, "click 7 is not"),
    ],
)
def test_what_is_wrong_with_a_click_is_said_with_the_click(point: Any, named: str) -> None:
    with pytest.raises(QueryError, match=re.escape(named)):
        parse_clicks([(1, 1, "after"), point], SHAPE)


def test_no_click_is_an_error() -> None:
    with pytest.raises(QueryError, match="no click was given"):
        parse_clicks([], SHAPE)


def candidates_with(
    before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]
) -> Candidates:
    some = np.zeros(len(before), np.float32)
    masks = Masks.from_dense(np.ones((len(before), 2, 2), bool))
    date = np.ones(len(before), np.int8)
    return Candidates(
        masks, some, some, date, some, np.array(before, float), np.array(after, float)
    )


def test_the_nearer_of_both_dates_decides_how_alike_a_candidate_is() -> None:
    there, here, neither = [0.0, 1.0], [1.0, 0.0], [-1.0, 0.0]
    halfway = [1.0, 1.0]
    candidates = candidates_with(
        [here, there, here, halfway, neither], [there, here, here, there, there]
    )
    angle = angle_to_query(candidates, np.array([[5.0, 0.0]]))
    np.testing.assert_allclose(angle, [0, 0, 0, 45, 90], atol=1e-5)


def test_a_click_is_the_embedding_of_its_best_mask(examined: list[Examined]) -> None:
    encoded = examined[0].encoded[1]
    masks = RegionSegmenter().decode(encoded, np.array([[40.0, 31.0]]))
    best = masks.masks[[int(np.argmax(masks.iou))]]
    embedding = query_embedding([Click(40, 31, "after")], RegionSegmenter(), examined)
    np.testing.assert_array_equal(embedding, mask_means(best, encoded.embedding))


def test_the_date_of_a_click_chooses_the_image(examined: list[Examined]) -> None:
    roof, meadow = (
        query_embedding([Click(40, 31, date)], RegionSegmenter(), examined)
        for date in ("after", "before")
    )
    other_roof = query_embedding([Click(45, 95, "after")], RegionSegmenter(), examined)
    to_meadow, to_roof = (np.linalg.norm(other_roof - e) for e in (meadow, roof))
    assert to_roof < to_meadow / 3


def test_several_clicks_are_averaged(examined: list[Examined]) -> None:
    clicks = [Click(40, 31, "after"), Click(45, 95, "after"), Click(10, 120, "before")]
    singly = [query_embedding([click], RegionSegmenter(), examined) for click in clicks]
    together = query_embedding(clicks, RegionSegmenter(), examined)
    assert together.shape == singly[0].shape
    np.testing.assert_allclose(together, np.mean(singly, axis=0))


def test_a_click_on_nothing_is_named() -> None:
    flat = np.full((40, 40, 3), 90, np.uint8)
    pair = load_pair(flat, flat)
    found = search(RegionSegmenter(), pair, SETTINGS, 1)
    with pytest.raises(QueryError, match=re.escape("click (7, 9, before) gives no mask")):
        query_embedding([Click(7, 9, "before")], RegionSegmenter(), found.examined)


@pytest.mark.parametrize(
    ("click", "view"),
    [
        ((0, 0), 1),
        ((175.9, 0), 2),
        ((0, 127.9), 3),
        ((175.9, 127.9), 4),
        ((85, 60), 1),
        ((95, 60), 2),
        ((80, 68), 3),
    ],
)
def test_a_click_is_decoded_in_the_enlarged_window_that_holds_it_best(
    windows: list[Examined], click: tuple[float, float], view: int
) -> None:
    look = windows[view]
    masks = RegionsOnACanvas().decode(look.encoded[1], look.view.point(*click))
    best = masks.masks[[int(np.argmax(masks.iou))]]
    expected = mask_means(best, look.encoded[1].embedding)
    embedding = query_embedding([Click(*click, "after")], RegionsOnACanvas(), windows)
    np.testing.assert_array_equal(embedding, expected)


@pytest.mark.parametrize("date", ["before", "after"])
def test_a_click_finds_what_vanished_and_what_appeared(village: Any, date: str) -> None:
    images = (village.before, village.after)
    pair = load_pair(*(images if date == "after" else images[::-1]))
    found = search(RegionSegmenter(), pair, SETTINGS, 1)
    embedding = query_embedding([Click(40, 31, date)], RegionSegmenter(), found.examined)
    alike = found.candidates[angle_to_query(found.candidates, embedding) <= 22]
    dense = alike.masks.dense()
    for name, present in (("roof", True), ("other roof", True), ("pool", False)):
        truth = village.truth(name)
        overlap = (dense & truth).sum((1, 2)) / (dense | truth).sum((1, 2))
        assert (overlap.max() > 0.8) == present
