"""Pictures of an answer: both dates, the truth, and where the answer is right and wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from terradelta.bench.cases import RGB
from terradelta.bench.maps import LEGEND
from terradelta.geo.pair import Pair
from terradelta.geo.reader import read_raster
from terradelta.zeroshot.query import Click

PANEL_PX = 384
GAP_PX = 8
LINE_PX = 24
CLICK_PX = 5
PAPER, INK, CLICK = (255, 255, 255), (30, 30, 30), (255, 225, 0)


def draw_picture(
    pair: Pair, panels: Mapping[str, RGB], agreement: RGB, clicks: Sequence[Click]
) -> RGB:
    """uint8 [h, w, 3]: before, after, further panels, truth and answer side by side, with a legend.

    ``agreement`` is an `agreement_map`. Each panel has 384 px on its longer side at most; a smaller
    image is enlarged by a whole factor.
    """
    found, _, missed, _ = LEGEND.values()
    true = (agreement == found).all(-1) | (agreement == missed).all(-1)
    shown = {
        "before": pair.before,
        "after": pair.after,
        **panels,
        "truth": (true[..., None] * np.array(found)).astype(np.uint8),
        "answer": agreement,
    }
    tiles = [
        _tile(image, name, [click for click in clicks if click.date == name])
        for name, image in shown.items()
    ]
    gap = Image.new("RGB", (GAP_PX, tiles[0].height), PAPER)
    strip = np.concatenate([np.asarray(part) for tile in tiles for part in (tile, gap)][:-1], 1)
    return np.concatenate([strip, _legend(strip.shape[1], bool(clicks))])


def read_picture(path: Path) -> RGB:
    """A PNG that a run has kept, uint8 [H, W, 3].

    Raises:
        InputError: it cannot be read.
    """
    return np.ascontiguousarray(read_raster(path).values.transpose(1, 2, 0), np.uint8)


def _tile(image: RGB, name: str, clicks: Sequence[Click]) -> Image.Image:
    """An image in its size on the page under its name, with the clicks on it."""
    height, width = image.shape[:2]
    scale = PANEL_PX / max(height, width)
    scale = scale if scale < 1 else int(scale)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    tile = Image.new("RGB", (size[0], size[1] + LINE_PX), PAPER)
    tile.paste(Image.fromarray(image).resize(size, kind), (0, LINE_PX))
    draw = ImageDraw.Draw(tile)
    draw.text((2, 3), name, fill=INK, font=ImageFont.load_default(14))
    for click in clicks:
        x, y = click.x * scale, click.y * scale + LINE_PX
        draw.ellipse(
            (x - CLICK_PX, y - CLICK_PX, x + CLICK_PX, y + CLICK_PX), fill=CLICK, outline=INK
        )
    return tile


def _legend(width: int, clicked: bool) -> RGB:
    strip = Image.new("RGB", (width, LINE_PX), PAPER)
    draw, font, x = ImageDraw.Draw(strip), ImageFont.load_default(14), 4
    colours = {**LEGEND, "click": CLICK} if clicked else LEGEND
    for name, colour in colours.items():
        draw.rectangle((x, 7, x + 12, 18), fill=colour, outline=INK)
        draw.text((x + 18, 4), name, fill=INK, font=font)
        x += 40 + int(draw.textlength(name, font))
    return np.asarray(strip)
