"""From the parts of all tiles to the files of the scene. Can be repeated: it only reads parts."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from terradelta.geo.mosaic import Mosaic, mosaic
from terradelta.geo.quicklook import write_quicklook
from terradelta.geo.tiles import Key
from terradelta.geo.vector import write_objects
from terradelta.run.choose import Choice
from terradelta.run.merge import Merger
from terradelta.run.model import SceneModel, TileAnswer
from terradelta.run.parts import Part, load_part
from terradelta.run.plan import ScenePlan
from terradelta.run.spool import Spool
from terradelta.types import Progress

MASK_FILE, SCORE_FILE, OVERLAY_FILE = "change_mask.tif", "score.tif", "overlay.png"


@dataclass(slots=True)
class Finished:
    """What finishing counted: px of the grid but for ``objects``."""

    threshold: float
    objects: int = 0
    changed: int = 0
    valid: int = 0


def finish(
    plan: ScenePlan,
    model: SceneModel,
    choice: Choice,
    parts: Path,
    folder: Path,
    vector: str,
    progress: Progress,
) -> Finished:
    """Choose, merge and write the objects, mask and score of a scene.

    Raises:
        OutputError: a file cannot be written. InputError: a part is damaged.
    """

    def load(key: Key) -> Part:
        return load_part(key, parts)

    lattice, grid = plan.tiles.lattice, plan.tiles.scene.grid
    threshold = model.threshold(choice, lambda: map(load, plan.keys), lattice)
    find = model.finder(load, plan.keys, choice, threshold, lattice)
    found, merger = Finished(threshold), Merger(lattice, model.links)
    place = {"crs": grid.crs, "transform": grid.transform}
    with ExitStack() as stack:
        mask = stack.enter_context(
            mosaic(
                folder / MASK_FILE, grid.shape, "uint8", description="255 where changed", **place
            )
        )
        score = stack.enter_context(
            mosaic(
                folder / SCORE_FILE,
                grid.shape,
                "float32",
                nodata=float("nan"),
                description=model.score_unit,
                **place,
            )
        )
        spool = stack.enter_context(Spool(parts / "outlines.wkb", grid))
        done = 0
        for row, keys in groupby(plan.keys, key=lambda key: key[0]):
            for key in keys:
                answer = find(key)
                _write_core(answer, model, found, mask, score)
                merger.add(answer.objects)
                done += 1
                progress("merging", done, len(plan.keys))
            for whole in merger.finished(row):
                spool.add(whole)
        for whole in merger.finished(None):
            spool.add(whole)
        progress("writing", 0, 1)
        objects = partial(spool.chunks, model.name, model.columns)
        found.objects = write_objects(folder / vector, objects(), crs=grid.crs.to_wkt())
        scene, radiometry = plan.tiles.scene, plan.tiles.radiometry
        write_quicklook(folder / OVERLAY_FILE, scene, radiometry, objects())
    return found


def _write_core(
    answer: TileAnswer, model: SceneModel, found: Finished, mask: Mosaic, score: Mosaic
) -> None:
    tile = answer.objects.tile
    x0, y0, x1, y1 = tile.core_in_window
    x0, y0 = max(x0, 0), max(y0, 0)
    intensity, valid = answer.intensity[y0:y1, x0:x1], answer.valid[y0:y1, x0:x1]
    changed = (intensity > found.threshold) & valid
    found.changed += int(changed.sum())
    found.valid += int(valid.sum())
    corner = x0 + tile.window[0], y0 + tile.window[1]
    mask.write(*corner, changed.astype(np.uint8) * np.uint8(255))
    score.write(*corner, np.where(valid, model.score_of(intensity), np.float32("nan")))
