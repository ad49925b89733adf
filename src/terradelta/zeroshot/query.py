"""The point query: changes of the kind of object that was clicked (AnyChange, section 3.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terradelta.errors import QueryError
from terradelta.sam.masks import FloatArray
from terradelta.sam.segmenter import Segmenter
from terradelta.zeroshot.candidates import DATES, Candidates, Examined
from terradelta.zeroshot.matching import angles_between, mask_means


class Click(NamedTuple):
    """A point of one date, in pixels, origin at the top left corner of the image."""

    x: float
    y: float
    date: str

    def __str__(self) -> str:
        return f"({self.x:g}, {self.y:g}, {self.date})"


ClickLike = Click | tuple[float, float, str]


def parse_clicks(points: Sequence[ClickLike], shape: tuple[int, int]) -> list[Click]:
    """Clicks checked against an image of ``shape`` (H, W).

    Raises:
        QueryError: no click, a malformed one, an unknown date, or a point outside the image.
    """
    if not len(points):
        raise QueryError("no click was given: points is a list of (x, y, 'before' or 'after')")
    return [_parse_click(point, shape) for point in points]


def _parse_click(point: Any, shape: tuple[int, int]) -> Click:
    try:
        x, y, date = point
        click = Click(float(x), float(y), str(date))
    except (TypeError, ValueError) as error:
        raise QueryError(f"click {point!r} is not (x, y, 'before' or 'after')") from error
    if click.date not in DATES:
        raise QueryError(f"click {click}: the date must be 'before' or 'after'")
    height, width = shape
    inside = math.isfinite(click.x) and math.isfinite(click.y)
    if not (inside and 0 <= click.x < width and 0 <= click.y < height):
        raise QueryError(f"click {click} lies outside the image, which is {width} x {height} px")
    return click


def query_embedding(
    clicks: Sequence[Click], segmenter: Segmenter, examined: Sequence[Examined]
) -> NDArray[np.float64]:
    """Mean embedding, float64 [1, C], of the masks of the clicks, each in its own date.

    Raises:
        QueryError: a click gives no mask.
    """
    embeddings = [_click_embedding(click, segmenter, examined) for click in clicks]
    return np.asarray(np.mean(embeddings, axis=0))


def _click_embedding(
    click: Click, segmenter: Segmenter, examined: Sequence[Examined]
) -> NDArray[np.float64]:
    look = _closest_view(click, examined)
    encoded = look.encoded[DATES.index(click.date)]
    masks = segmenter.decode(encoded, look.view.point(click.x, click.y))
    if not len(masks):
        raise QueryError(
            f"click {click} gives no mask: {segmenter.name} sees no object there. Click well inside "
            f"one, or on the other date"
        )
    best = masks[[int(np.argmax(masks.iou))]]
    return mask_means(best.masks, encoded.embedding)


def _closest_view(click: Click, examined: Sequence[Examined]) -> Examined:
    """The most enlarged view that holds the click, and of those the one that holds it best."""
    return max(
        (look for look in examined if look.view.margin(click.x, click.y) >= 0),
        key=lambda look: (look.view.factor, look.view.margin(click.x, click.y)),
    )


def angle_to_query(candidates: Candidates, embedding: NDArray[np.float64]) -> FloatArray:
    """float32 [N]: degrees between the query and the nearer of a mask's two embeddings.

    Near in *after* only: the object appeared there; in *before* only: it vanished.
    """
    before = angles_between(candidates.before, embedding)
    return np.minimum(before, angles_between(candidates.after, embedding))
