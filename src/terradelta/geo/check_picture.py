"""The picture of a check: what was looked at of both dates, and by how much each window is shifted."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from terradelta.geo.comparable import Check
from terradelta.geo.register import WindowShift
from terradelta.geo.sample import Sample

PANEL_PX = 800
GAP_PX = 8
LONGEST_ARROW_PX = 48
INLIER, OUTLIER = (255, 225, 0), (255, 60, 60)
INLIER_PX = 1.5


def draw_check(check: Check) -> NDArray[np.uint8]:
    """uint8 [h, w, 3]: before (left), and after (right) with an arrow for each window found again.

    Where the pair was sampled, the windows stand side by side in their order on the ground. Arrows
    are enlarged; the line below says how much. Red ones differ from the common shift.
    """
    corners, size = _layout(check.sample)
    panels = _panels(check, corners, size)
    factor = min(1.0, PANEL_PX / max(size))
    sides = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    small = [panel.resize(sides, Image.Resampling.BOX) for panel in panels]
    scale = _draw_arrows(small[1], check, corners, factor)
    width, height = small[0].size
    sheet = Image.new("RGB", (2 * width + GAP_PX, height + 24), "white")
    sheet.paste(small[0], (0, 0))
    sheet.paste(small[1], (width + GAP_PX, 0))
    shown = f"arrows {scale:.3g} times as long" if scale else "no window found again"
    text = (
        f"before | after: {check.verdict.value}; {len(check.shift.windows)} of {check.shift.tried} "
    )
    draw = ImageDraw.Draw(sheet)
    draw.text((8, height + 4), f"{text}windows, {shown}", "black", ImageFont.load_default(14))
    return np.asarray(sheet)


def _layout(sample: Sample) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Where in the picture each patch lies, and the picture's (width, height), all at full size."""
    patches = sample.patches
    xs, width = _packed([(p.x0, p.valid.shape[1]) for p in patches])
    ys, height = _packed([(p.y0, p.valid.shape[0]) for p in patches])
    return [(xs[p.x0], ys[p.y0]) for p in patches], (width, height)


def _packed(spans: list[tuple[int, int]]) -> tuple[dict[int, int], int]:
    """New starts of (start, length) spans with what lies between them left out, and the end."""
    places, reach, end = {}, None, 0
    for start, length in sorted(set(spans)):
        if reach is None:
            places[start] = 0
        elif start not in places:
            places[start] = end - max(0, reach - start) + (GAP_PX * 2 if start > reach else 0)
        end = max(end, places[start] + length)
        reach = max(reach or 0, start + length)
    return places, end


def _panels(
    check: Check, corners: list[tuple[int, int]], size: tuple[int, int]
) -> list[Image.Image]:
    panels = [Image.new("RGB", size, "white") for _ in range(2)]
    for patch, corner in zip(check.sample, corners, strict=True):
        dates = check.radiometry.to_rgb8(patch.before, patch.after, patch.valid)
        for panel, picture in zip(panels, dates, strict=True):
            picture[~patch.valid] = 255
            panel.paste(Image.fromarray(picture), corner)
    return panels


def _draw_arrows(
    panel: Image.Image, check: Check, corners: list[tuple[int, int]], factor: float
) -> float:
    """Draw the shift of each window; gives by how much arrows are longer than at the panel's scale."""
    windows = check.shift.windows
    longest = max((math.hypot(w.dx, w.dy) for w in windows), default=0.0)
    if longest == 0:
        return 0.0
    scale = LONGEST_ARROW_PX / (longest * factor)
    draw = ImageDraw.Draw(panel)
    for window in windows:
        start = _place(window, check.sample, corners, factor)
        end = (
            start[0] + window.dx * factor * scale,
            start[1] + window.dy * factor * scale,
        )
        apart = math.hypot(window.dx - check.shift.shift[0], window.dy - check.shift.shift[1])
        _arrow(draw, start, end, INLIER if apart <= INLIER_PX else OUTLIER)
    return scale


def _place(
    window: WindowShift, sample: Sample, corners: list[tuple[int, int]], factor: float
) -> tuple[float, float]:
    """Where the middle of a window lies in the panel."""
    for patch, (x, y) in zip(sample, corners, strict=True):
        right, down = window.x - patch.x0, window.y - patch.y0
        if 0 <= right <= patch.valid.shape[1] and 0 <= down <= patch.valid.shape[0]:
            return (x + right) * factor, (y + down) * factor
    raise ValueError(f"window at ({window.x}, {window.y}) lies in no patch")


def _arrow(
    draw: ImageDraw.ImageDraw,
    start: tuple[float, float],
    end: tuple[float, float],
    colour: tuple[int, int, int],
) -> None:
    draw.line((start, end), fill="black", width=4)
    draw.line((start, end), fill=colour, width=2)
    turn = math.atan2(end[1] - start[1], end[0] - start[0])
    barbs = [
        (end[0] - 7 * math.cos(turn + by), end[1] - 7 * math.sin(turn + by)) for by in (-0.5, 0.5)
    ]
    draw.polygon([end, *barbs], fill=colour, outline="black")
