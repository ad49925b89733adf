"""The picture of a detection: both dates, and the outline of every change on both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from terradelta.geo.pair import Pair
from terradelta.sam.masks import Masks

COLOURS = {"before": (255, 150, 30), "after": (0, 225, 255)}
GAP_PX = 8
SMALLEST_SIDE_PX = 512


def draw_overlay(pair: Pair, masks: Masks, dates: Sequence[str]) -> NDArray[np.uint8]:
    """uint8 [h, w, 3]: before (left) and after (right), outlined in the colour of the mask's date.

    Small images are enlarged so that outlines, drawn one pixel wide, do not cover them.
    """
    height, width = pair.shape
    factor = max(1, -(-SMALLEST_SIDE_PX // max(height, width)))
    edges = {
        date: _edges(masks, np.array([d == date for d in dates], bool), factor) for date in COLOURS
    }
    panels = [_panel(image, factor, edges) for image in (pair.before, pair.after)]
    gap = np.full((panels[0].shape[0], GAP_PX, 3), 255, np.uint8)
    picture = np.concatenate([panels[0], gap, panels[1]], axis=1)
    return np.concatenate([picture, _legend(picture.shape[1], masks, dates)])


def _panel(
    image: NDArray[np.uint8], factor: int, edges: dict[str, NDArray[np.bool_]]
) -> NDArray[np.uint8]:
    panel = image.repeat(factor, 0).repeat(factor, 1)
    everything = np.any(list(edges.values()), axis=0)
    panel[ndimage.binary_dilation(everything) & ~everything] //= 2
    for date, edge in edges.items():
        panel[edge] = COLOURS[date]
    return panel


def _edges(masks: Masks, chosen: NDArray[np.bool_], factor: int) -> NDArray[np.bool_]:
    """bool [H * factor, W * factor]: the inner boundary of each chosen mask."""
    height, width = masks.shape
    edges = np.zeros((height * factor, width * factor), bool)
    for n in np.flatnonzero(chosen):
        crop, x0, y0 = masks.crop(int(n))
        crop = crop.repeat(factor, 0).repeat(factor, 1)
        inner = ndimage.binary_erosion(np.pad(crop, 1))[1:-1, 1:-1]
        top, left = y0 * factor, x0 * factor
        edges[top : top + crop.shape[0], left : left + crop.shape[1]] |= crop & ~inner
    return edges


def _legend(width: int, masks: Masks, dates: Sequence[str]) -> NDArray[np.uint8]:
    font = ImageFont.load_default(14)
    strip = Image.new("RGB", (width, 24), "white")
    draw = ImageDraw.Draw(strip)
    x = 8
    for date, colour in COLOURS.items():
        draw.rectangle((x, 7, x + 12, 17), fill=colour, outline="black")
        text = f"mask of {date} ({sum(d == date for d in dates)})"
        draw.text((x + 18, 4), text, fill="black", font=font)
        x += 40 + int(draw.textlength(text, font))
    return np.asarray(strip)
