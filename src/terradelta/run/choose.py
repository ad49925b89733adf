"""The threshold of a scene, chosen over all of its tiles, and a tile's changes above it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from skimage.filters import threshold_otsu

from terradelta.geo.tiles import Lattice
from terradelta.run.parts import Part
from terradelta.run.seams import TileObjects
from terradelta.sam.masks import FloatArray, Masks
from terradelta.sam.segmenter import BoolArray, Segmenter
from terradelta.zeroshot.candidates import pixel_angle_of
from terradelta.zeroshot.selection import contenders, select

OTSU_BINS = 256


@dataclass(frozen=True, slots=True)
class Choice:
    """How changes are told from the rest; at most one of the three, see `detect_scene`."""

    angle: float | None = None
    threshold: str | float | None = None
    top_k: int | None = None

    @property
    def given(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def scene_threshold(
    choice: Choice,
    default: float,
    parts: Callable[[], Iterable[Part]],
    lattice: Lattice,
    segmenter: Segmenter,
) -> float:
    """The threshold in degrees, as `choose_threshold` does it for one image.

    ``parts`` gives all parts, one at a time, as often as it is called.
    """

    def angles() -> Iterator[FloatArray]:
        for part in parts():
            yield _owned_angles(part, choice, lattice, segmenter)

    if choice.threshold is not None:
        return _otsu(angles, default)
    if choice.top_k is not None:
        return _top_k(angles(), choice.top_k)
    return float(default if choice.angle is None else choice.angle)


def tile_changes(
    part: Part, choice: Choice, threshold: float, lattice: Lattice, segmenter: Segmenter
) -> tuple[TileObjects, FloatArray]:
    """The changes in a tile's window, and the angle at every pixel of it."""
    tile, rule = lattice[part.key], segmenter.overlap_rule
    pixel_angle = pixel_angle_of(segmenter, part.candidates)
    among = contenders(part.candidates, rule, choice.top_k)
    kept, pixel_angle = select(among, pixel_angle, threshold, rule, top_k=choice.top_k)
    objects = TileObjects(
        tile,
        kept.masks,
        kept.angle,
        kept.iou,
        kept.stability,
        kept.date,
        valid_fraction(kept.masks, part.valid),
    )
    return objects, pixel_angle


def _owned_angles(part: Part, choice: Choice, lattice: Lattice, segmenter: Segmenter) -> FloatArray:
    """Angles of the candidates whose box has its middle in the tile's core: of each, one tile's."""
    among = contenders(part.candidates, segmenter.overlap_rule, choice.top_k)
    if lattice.is_single:
        return among.angle
    boxes = among.masks.boxes
    x0, y0, x1, y1 = lattice[part.key].core_in_window
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    return among.angle[(x >= x0) & (x < x1) & (y >= y0) & (y < y1)]


def _otsu(angles: Callable[[], Iterator[FloatArray]], default: float) -> float:
    """Otsu's threshold from one histogram; two passes, for its range must be known first."""
    low, high = np.inf, -np.inf
    for some in angles():
        if len(some):
            low, high = min(low, some.min()), max(high, some.max())
    if not low < high:
        return default
    counts = np.zeros(OTSU_BINS, np.int64)
    edges = np.linspace(low, high, OTSU_BINS + 1)
    for some in angles():
        counts += np.histogram(some, OTSU_BINS, (low, high))[0]
    return float(threshold_otsu(hist=(counts, (edges[:-1] + edges[1:]) / 2)))


def _top_k(angles: Iterator[FloatArray], k: int) -> float:
    """The angle above which the k largest lie: the one after them, 0 if there are no more."""
    largest = np.zeros(0, np.float32)
    for some in angles:
        largest = np.concatenate([largest, some])
        largest = np.sort(largest)[-k - 1 :]
    return float(largest[0]) if len(largest) > k else 0.0


def valid_fraction(masks: Masks, valid: BoolArray) -> FloatArray:
    """Share of each mask's box that is valid, float32 [N]: below 1 beside gaps in the data."""
    if valid.all():
        return np.ones(len(masks), np.float32)
    table = np.pad(valid.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    x0, y0, x1, y1 = masks.boxes.astype(np.int64).T
    inside = table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0]
    return np.asarray(inside / np.maximum((x1 - x0) * (y1 - y0), 1), np.float32)
