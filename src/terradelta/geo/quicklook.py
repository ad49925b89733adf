"""One picture of a whole scene: both dates, small, with the outlines of the changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.transform import Affine
from scipy import ndimage

from terradelta.geo.files import write_png
from terradelta.geo.scene import ScenePair
from terradelta.geo.stretch import Radiometry
from terradelta.geo.style import COLOURS, LABELS

LONGEST_PX = 1600
GAP_PX = 8
LEGEND_PX = 24
SAMPLES = 3
"""A pixel of the picture is the mean of at most this many columns and rows of the scene."""
WINDOW_PX = 1024
BLANK = 255

RGB = NDArray[np.uint8]


def write_quicklook(
    path: Path, scene: ScenePair, radiometry: Radiometry, chunks: Iterable[geopandas.GeoDataFrame]
) -> None:
    """Before and after side by side (one above the other if wide), at most 1600 px, as PNG.

    ``chunks`` hold polygons in the CRS of the scene and the column ``date``, in whose colour they are
    outlined. What is invalid in a date is white. A window of the scene and one chunk are held at a
    time, and the picture.

    Raises:
        InputError: a raster cannot be read. OutputError: the picture cannot be written.
    """
    height, width = scene.grid.shape
    beside = height >= width
    factor = _factor(height, width)
    before, after = _reduced(scene, radiometry, factor)
    edges, counts = _outlines(chunks, scene.grid.transform, before.shape[:2], factor)
    panels = [outlined(image, edges) for image in (before, after)]
    gap = np.full((before.shape[0], GAP_PX, 3) if beside else (GAP_PX, before.shape[1], 3), BLANK)
    picture = np.concatenate([panels[0], gap.astype(np.uint8), panels[1]], axis=int(beside))
    write_png(path, np.concatenate([picture, legend(picture.shape[1], counts)]))


def _factor(height: int, width: int) -> int:
    """How many px of the scene one px of the picture stands for, along a side."""
    longest = max(2 * min(height, width), max(height, width))
    return -(-longest // (LONGEST_PX - GAP_PX - LEGEND_PX - 2))


def _reduced(scene: ScenePair, radiometry: Radiometry, factor: int) -> tuple[RGB, RGB]:
    """Both dates as uint8 [h, w, 3], smaller by ``factor``."""
    height, width = (-(-side // factor) for side in scene.grid.shape)
    offsets = np.unique(np.linspace(0, factor - 1, SAMPLES).round().astype(int))
    images = [np.full((height, width, 3), BLANK, np.uint8) for _ in range(2)]
    for x, y, x1, y1 in _windows(height, width, max(1, WINDOW_PX // factor)):
        # Rows and columns beyond the edge of the scene are invalid: they do not count.
        window = (x * factor, y * factor, x1 * factor, y1 * factor)
        rows, columns = (_picked(size, factor, offsets) for size in (y1 - y, x1 - x))
        small = [values[..., rows[:, None], columns] for values in scene.read(*window)]
        colours = radiometry.to_rgb8(small[0], small[1], small[2])
        for image, date in zip(images, colours, strict=True):
            image[y:y1, x:x1] = _mean(date, small[2], len(offsets))
    return images[0], images[1]


def _windows(height: int, width: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    for y in range(0, height, side):
        for x in range(0, width, side):
            yield x, y, min(x + side, width), min(y + side, height)


def _picked(size: int, factor: int, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the rows or columns that are looked at for ``size`` px of the picture."""
    return (np.arange(size)[:, None] * factor + offsets).ravel()


def _mean(colours: RGB, valid: NDArray[np.bool_], samples: int) -> RGB:
    """The mean of the valid ones of every ``samples`` x ``samples``, white without any."""
    height, width = (side // samples for side in valid.shape)
    blocks = (height, samples, width, samples)
    weight = valid.reshape(*blocks, 1).astype(np.float32)
    count = weight.sum((1, 3))
    total = (colours.reshape(*blocks, 3) * weight).sum((1, 3))
    return np.where(count > 0, total / np.maximum(count, 1) + 0.5, BLANK).astype(np.uint8)


def _outlines(
    chunks: Iterable[geopandas.GeoDataFrame],
    transform: Affine,
    shape: tuple[int, int],
    factor: int,
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, int]]:
    """The outlines of either date as a mask of ``shape``, and how many objects there are."""
    height, width = shape
    lines = {date: Image.new("1", (width, height)) for date in COLOURS}
    counts = dict.fromkeys(COLOURS, 0)
    to_px = Affine.scale(1 / factor) * ~transform
    for chunk in chunks:
        for date, image in lines.items():
            shapes = np.asarray(chunk.geometry.values, dtype=object)[chunk["date"] == date]
            counts[date] += len(shapes)
            draw = ImageDraw.Draw(image)
            rings, _ = shapely.get_rings(shapely.get_parts(shapes), return_index=True)
            for ring in rings:
                x, y = to_px * tuple(shapely.get_coordinates(ring).T)
                # A centre of a pixel is a whole number to the pencil.
                draw.line(list(zip(x - 0.5, y - 0.5, strict=True)), fill=1)
    return {date: np.asarray(image) for date, image in lines.items()}, counts


def outlined(image: RGB, edges: dict[str, NDArray[np.bool_]]) -> RGB:
    """A copy of an image with outlines, bool [H, W] of each date, in their colours on a dark rim."""
    panel = image.copy()
    everything = np.any(list(edges.values()), axis=0)
    panel[ndimage.binary_dilation(everything) & ~everything] //= 2
    for date, edge in edges.items():
        panel[edge] = COLOURS[date]
    return panel


def legend(width: int, counts: dict[str, int]) -> RGB:
    """A strip [h, width, 3] that tells the colours, and how many objects each date has.

    Masks are either of one of the dates, or all of ``both``.
    """
    font = ImageFont.load_default(14)
    strip = Image.new("RGB", (width, LEGEND_PX), "white")
    draw = ImageDraw.Draw(strip)
    x = 8
    for date in ("both",) if counts.get("both") else ("before", "after"):
        draw.rectangle((x, 7, x + 12, 17), fill=COLOURS[date], outline="black")
        text = f"{LABELS[date]} ({counts[date]})"
        draw.text((x + 18, 4), text, fill="black", font=font)
        x += 40 + int(draw.textlength(text, font))
    return np.asarray(strip)
