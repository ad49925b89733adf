"""Labelling a scene: looked at once as a whole, then cut into pairs of one size.

The pictures are the common grid of the scene in the 8 bit that the model saw, so a crop at a tile's
border is labelled as well as any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.windows
from numpy.typing import NDArray

from terradelta.data.windows import Window
from terradelta.detectors.changes import DetectorModel
from terradelta.engine.asking import Asking, check_asking
from terradelta.engine.curate import Curation
from terradelta.engine.labels import Label, LabelFolder
from terradelta.engine.soft import FROM_ANGLE, FROM_MODEL, chance_of_angle
from terradelta.engine.writing import Item, Labels, write_labels
from terradelta.errors import UsageError
from terradelta.geo.pair import Pair
from terradelta.geo.reader import Georeference, opened
from terradelta.geo.scene import ScenePair
from terradelta.geo.stretch import Radiometry
from terradelta.metrics import connected_components
from terradelta.run.finish import MASK_FILE, SCORE_FILE
from terradelta.run.scene import detect_scene
from terradelta.sam.segmenter import BoolArray
from terradelta.types import Progress, silent
from terradelta.zeroshot.anychange import AnyChange

SCENE_FOLDER = "scene"


def label_scene(
    before: str | Path,
    after: str | Path,
    model: AnyChange | DetectorModel,
    out: str | Path,
    *,
    crop: int = 512,
    asking: Asking | None = None,
    curation: Curation | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Labels:
    """Label a scene, and cut it into squares: a folder with A, B and label that can be learnt from.

    `detect_scene` looks at it, in the folder ``scene`` of ``out``. The squares lie side by side from the
    top left of the common grid and are named by their first row and column; those at the right and the
    bottom reach beyond it. What is not valid in both dates, or not in the area of interest, is unknown; a
    square where that is so everywhere is left out. After an interruption the same call goes on.

    Args:
        crop: side of a square in px of the grid, at least 16.
        asking: how the model is asked: not with clicks and not by both dates.
        curation: which squares and pixels are left out; by default none.
        options: of `detect_scene`: tile, halo, bands, aoi, normalise, register, ray.

    Raises:
        UsageError: a setting is out of range, or the folder holds other labels.
        InputError: a raster cannot be read, they do not overlap, or no square has a valid pixel.
        OutputError: a file cannot be written.
    """
    asking, curation = asking or Asking(), curation or Curation()
    if asking.clicked or asking.both_dates:
        raise UsageError("clicks and both_dates are for pairs: cut the scene first")
    check_asking(asking, model)
    if crop < 16:
        raise UsageError(f"crop is {crop}: give the side of a square, at least 16 px")
    given = {name: value for name, value in (options or {}).items() if value is not None}
    asked = {
        "scene": [str(Path(path).resolve()) for path in (before, after)],
        "crop": crop,
        "options": {name: value for name, value in given.items() if name != "ray"},
        "model": model.describe(),
        "asking": asking.describe(),
        "curation": curation.describe(),
    }
    folder = LabelFolder(out, asked)
    run = detect_scene(
        before, after, folder.path / SCENE_FOLDER, model=model, progress=progress,
        **asking.chosen, **given,
    )  # fmt: skip
    with _Looked.at(folder.path / SCENE_FOLDER, run.record, before, after) as looked:
        squares = [
            Window(top, left, crop, crop)
            for top in range(0, looked.scene.grid.height, crop)
            for left in range(0, looked.scene.grid.width, crop)
        ]
        filled = [square for square in squares if looked.known(square).any()]
        facts = {name: asked[name] for name in ("model", "asking", "curation")}
        items = [
            Item(
                square.label(),
                partial(looked.pair, square),
                partial(looked.label, square, asking.soft, facts),
            )
            for square in filled
        ]
        return write_labels(folder, items, curation, progress)


@dataclass(frozen=True)
class _Looked:
    """A scene with what was found in it: mask and score, open for reading."""

    scene: ScenePair
    radiometry: Radiometry
    mask: Any
    score: Any
    record: Mapping[str, Any]

    @classmethod
    @contextmanager
    def at(
        cls, folder: Path, record: Mapping[str, Any], before: str | Path, after: str | Path
    ) -> Iterator[_Looked]:
        x, y = record["grid"]["shift_px"]
        bands = record["before"]["bands"]
        radiometry = Radiometry.of_dict(record["radiometry"])
        with (
            ScenePair(before, after, bands=bands, shift=(x, y)) as scene,
            opened(folder / MASK_FILE) as mask,
            opened(folder / SCORE_FILE) as score,
        ):
            yield cls(scene, radiometry, mask, score, record)

    def known(self, square: Window) -> BoolArray:
        return np.asarray(np.isfinite(_read(self.score, square, np.nan)))

    def pair(self, square: Window) -> Pair:
        """The pictures of a square as the model saw them."""
        right, bottom = square.left + square.width, square.top + square.height
        before, after, valid = self.scene.read(square.left, square.top, right, bottom)
        pictures = self.radiometry.to_rgb8(before, after, valid)
        grid = self.scene.grid.window(square.left, square.top, right, bottom)
        sources = self.scene.before.path, self.scene.after.path
        bands = self.scene.before.bands, self.scene.after.bands
        return Pair(*pictures, valid, Georeference(grid.crs, grid.transform), sources, bands)

    def label(self, square: Window, soft: bool, facts: Mapping[str, Any]) -> Label:
        pair = self.pair(square)
        changed = _read(self.mask, square, 0) > 0
        score = _read(self.score, square, np.nan)
        angular = "threshold_deg" in self.record
        threshold = self.record["threshold_deg" if angular else "threshold_probability"]
        chance = None
        if soft:
            # The cosine of an angle of 0 may be rounded to above 1.
            angle = np.degrees(np.arccos(np.clip(-score, -1, 1))) if angular else score
            chance = chance_of_angle(angle, threshold) if angular else score
        told = {
            **{date: self._source(date) for date in ("before", "after")},
            **facts,
            "window_px": list(square),
            "crs": pair.georeference.crs.to_string() if pair.georeference else None,
            "transform": list(pair.georeference.transform)[:6] if pair.georeference else None,
            "threshold": threshold,
            "soft": (FROM_ANGLE if angular else FROM_MODEL) if soft else None,
            "clicks": None,
            "changes": len(connected_components(changed)),
        }
        return Label(pair, changed, np.isfinite(score), chance, told)

    def _source(self, date: str) -> dict[str, str]:
        return {key: self.record[date][key] for key in ("source", "sha256")}


def _read(raster: Any, square: Window, beyond: float) -> NDArray[Any]:
    """A window of the first band, ``beyond`` where it reaches over the edges."""
    part = np.full((square.height, square.width), beyond, raster.dtypes[0])
    height, width = (
        min(square.height, raster.height - square.top),
        min(square.width, raster.width - square.left),
    )
    inside = rasterio.windows.Window(square.left, square.top, width, height)
    part[:height, :width] = raster.read(1, window=inside)
    return part
