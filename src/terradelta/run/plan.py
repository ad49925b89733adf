"""The plan of a scene: what is settled once, before its first tile, and holds for all of them.

It lies in ``plan.json`` in the run's folder. A later run in the same folder must ask for the same: the
same inputs and settings of the tiles. How changes are chosen among what the tiles hold is not part of
it: that may differ from run to run.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

from terradelta import __version__
from terradelta.errors import InputError, OutputError, UsageError
from terradelta.geo.files import write_json
from terradelta.geo.findings import MOST_RESIDUAL_PX, MOST_SHIFT_PX
from terradelta.geo.pair import Pair
from terradelta.geo.radiometry import relative_normalisation
from terradelta.geo.register import ShiftField, shift_field
from terradelta.geo.sample import Sample, take_sample
from terradelta.geo.scene import ScenePair
from terradelta.geo.stretch import Radiometry, scene_radiometry
from terradelta.geo.tiles import ALIGNMENT_PX, Key, Lattice
from terradelta.run.model import SceneModel, Tiling
from terradelta.run.tile import TilePlan
from terradelta.sam.allocator import trim
from terradelta.types import Progress

FILES = ("before", "after", "aoi")


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """What, besides the model, decides what the tiles hold.

    ``tile`` and ``halo`` px, None for those that suit the model; ``bands`` 1-based or None; ``aoi`` a
    vector file or None; ``normalise`` the radiometry of *after*; ``register``: correct a constant shift.
    """

    tile: int | None = None
    halo: int | None = None
    bands: tuple[int, ...] | None = None
    aoi: Path | None = None
    normalise: bool = True
    register: bool = False


@dataclass(frozen=True)
class ScenePlan:
    """``keys`` are the tiles to look at; ``facts`` what `run.json` tells of the plan."""

    tiles: TilePlan
    keys: tuple[Key, ...]
    facts: dict[str, Any]


def make_plan(
    before: Path,
    after: Path,
    model: SceneModel,
    settings: SceneSettings,
    stored: Path,
    progress: Progress,
) -> ScenePlan:
    """The plan that lies at ``stored``, or a new one that is put there.

    Raises:
        InputError: the rasters or the area of interest cannot be read or do not overlap.
        UsageError: a setting is out of range, or differs from those of the stored plan.
        OutputError: it cannot be written.
    """
    scene = ScenePair(before, after, bands=settings.bands)
    lattice = _lattice(scene, model.tiling(settings.halo), settings)
    aoi = None if settings.aoi is None else _read_aoi(settings.aoi, scene)
    old = _load(stored)
    progress("reading the inputs", 0, 2)
    asked = _asked(before, after, model, settings, lattice, None if old is None else old["asked"])
    if old is None:
        progress("planning", 1, 2)
        old = {"asked": asked, **_measure(scene, model, settings)}
        write_json(stored, old)
        trim()
    else:
        _check_same(asked, old["asked"], stored)
    if old["shift_px"] != [0, 0]:
        scene = scene.shifted((old["shift_px"][0], old["shift_px"][1]))
    radiometry = Radiometry.of_dict(old["radiometry"])
    tiles = TilePlan(scene, lattice, radiometry, model.restored(old["contexts"]), aoi)
    return ScenePlan(tiles, _keys(tiles), _facts(scene, lattice, old))


def _lattice(scene: ScenePair, tiling: Tiling, settings: SceneSettings) -> Lattice:
    """Cores of a fixed size on the ground, counted from where the CRS begins."""
    core = tiling.core if settings.tile is None else settings.tile
    halo = tiling.halo
    if settings.halo is None:
        halo = min(halo, core // 2 // ALIGNMENT_PX * ALIGNMENT_PX)
    grid = scene.grid
    t = grid.transform
    anchor = round(t.c / t.a), round(t.f / t.e)
    lattice = Lattice(grid.width, grid.height, anchor, core, halo, tiling.clipped)
    if halo < tiling.least_halo and not lattice.is_single:
        raise UsageError(
            f"the halo is {halo} px: with this model it must be at least {tiling.least_halo} px, and "
            f"the tile twice that, {2 * tiling.least_halo} px"
        )
    return lattice


def _keys(plan: TilePlan) -> tuple[Key, ...]:
    if plan.aoi is None:
        return tuple(tile.key for tile in plan.lattice)
    grid, wanted = plan.scene.grid, shapely.prepared.prep(plan.aoi)
    return tuple(
        tile.key
        for tile in plan.lattice
        if wanted.intersects(shapely.box(*grid.window(*tile.core).bounds))
    )


def _read_aoi(path: Path, scene: ScenePair) -> Any:
    """The union of a file's polygons in the CRS of the grid."""
    if not path.exists():
        raise InputError(f"{path} does not exist")
    try:
        table = pyogrio.read_dataframe(path, columns=[])
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a vector file: {error}") from error
    if not hasattr(table, "crs") or table.crs is None:
        raise InputError(
            f"{path} has no CRS: state it, for example with `ogr2ogr -a_srs EPSG:4326`"
        )
    shapes = table.to_crs(scene.grid.crs.to_wkt()).geometry
    areas = shapely.union_all([shapely.make_valid(one) for one in shapes if one is not None])
    if not areas.intersection(shapely.box(*scene.grid.bounds)).area > 0:
        raise InputError(f"{path} holds no polygon within the overlap of the rasters")
    return areas


def _measure(scene: ScenePair, model: SceneModel, settings: SceneSettings) -> dict[str, Any]:
    """Shift, radiometry and the model's contexts, from a sample of the scene."""
    sample = _sample(scene)
    shift, registration = (0.0, 0.0), None
    if settings.register:
        field = shift_field(sample)
        shift, registration = _correction(field), field.describe()
        scene = scene.shifted(shift)
        del sample
        sample = _sample(scene)
    fit = relative_normalisation(sample)
    told = {**fit.describe(), "applied": settings.normalise}
    if not settings.normalise:
        fit = replace(fit, gain=(1.0, 1.0, 1.0), offset=(0.0, 0.0, 0.0))
    radiometry = scene_radiometry(sample, fit)
    contexts = model.contexts(mosaic_of(sample, radiometry, scene.grid.shape))
    return {
        "shift_px": list(shift),
        "registration": registration,
        "normalisation": told,
        "sampled_valid_share": sample.valid_share,
        "radiometry": radiometry.describe(),
        "contexts": contexts,
    }


def _sample(scene: ScenePair) -> Sample:
    return take_sample(scene.read, scene.grid.shape, (scene.before.dtype, scene.after.dtype))


def _correction(field: ShiftField) -> tuple[float, float]:
    """What undoes the shift; nothing if none was measured."""
    if not field.measured:
        return 0.0, 0.0
    if field.length > MOST_SHIFT_PX or field.residual > MOST_RESIDUAL_PX:
        raise InputError(
            f"after is shifted by {field.length:.1f} px, in single places by {field.residual:.1f} px "
            f"more or less: no one shift mends that. See `terradelta check`, and mend its georeference"
        )
    return field.correction


def mosaic_of(sample: Sample, radiometry: Radiometry, shape: tuple[int, int]) -> Pair:
    """The patches of a sample as one 8-bit pair: in their places if they are all there is."""
    patches = sample.patches
    if sample.whole:
        places = [(patch.x0, patch.y0) for patch in patches]
        height, width = shape
    else:
        height, width = np.max([patch.valid.shape for patch in patches], 0).tolist()
        across = int(np.ceil(len(patches) ** 0.5))
        places = [(n % across * width, n // across * height) for n in range(len(patches))]
        height, width = height * -(-len(patches) // across), width * across
    valid = np.zeros((height, width), bool)
    # Whatever no patch covers looks like a place without data.
    pictures = [
        np.full((height, width, 3), np.round(fill), np.uint8)
        for fill in (radiometry.fill_before, radiometry.fill_after)
    ]
    for patch, (x, y) in zip(patches, places, strict=True):
        there = np.s_[y : y + patch.valid.shape[0], x : x + patch.valid.shape[1]]
        valid[there] = patch.valid
        tiles = radiometry.to_rgb8(patch.before, patch.after, patch.valid)
        for picture, part in zip(pictures, tiles, strict=True):
            picture[there] = part
    return Pair(pictures[0], pictures[1], valid, None, ("before", "after"), ((), ()))


def _asked(
    before: Path,
    after: Path,
    model: SceneModel,
    settings: SceneSettings,
    lattice: Lattice,
    old: dict[str, Any] | None,
) -> dict[str, Any]:
    """Everything that the content of the tiles depends on, as JSON gives it back."""
    dates = {"before": before, "after": after}
    if settings.aoi is not None:
        dates["aoi"] = settings.aoi
    asked = {
        "terradelta": __version__,
        **{name: _identity(path, (old or {}).get(name)) for name, path in dates.items()},
        **model.identity(),
        "tile": lattice.core,
        "halo": lattice.halo,
        "bands": settings.bands,
        "normalise": settings.normalise,
        "register": settings.register,
    }
    loaded: dict[str, Any] = json.loads(json.dumps(asked))
    return loaded


def _identity(path: Path, old: dict[str, Any] | None) -> dict[str, Any]:
    """Which file this is; its hash is taken from an earlier plan if nobody has written to it since."""
    status = path.stat()
    seen = {"path": str(path.resolve()), "bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    if old is not None and seen == {name: old.get(name) for name in seen}:
        return old
    with path.open("rb") as file:
        return {**seen, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _check_same(asked: dict[str, Any], old: dict[str, Any], stored: Path) -> None:
    for name in sorted(asked.keys() | old.keys(), key=str):
        new, was = asked.get(name), old.get(name)
        if name in FILES and new is not None and was is not None:
            if new["sha256"] != was["sha256"]:
                raise UsageError(
                    f"{new['path']} is not the file with which the run in {stored.parent.parent} began "
                    f"({name}: {was['path']}): {_remedy(stored)}"
                )
        elif new != was:
            raise UsageError(
                f"the run in {stored.parent.parent} began with {name} = {was}, now it is {new}: "
                f"{_remedy(stored)}"
            )


def _remedy(stored: Path) -> str:
    return f"give another folder, or delete {stored.parent} to start over"


def _load(stored: Path) -> dict[str, Any] | None:
    if not stored.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(stored.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OutputError(f"{stored} cannot be read: {_remedy(stored)}") from error
    return content


def _facts(scene: ScenePair, lattice: Lattice, plan: dict[str, Any]) -> dict[str, Any]:
    grid = scene.describe()
    for date in ("before", "after"):
        grid[date] |= {"source": grid[date].pop("path"), "sha256": plan["asked"][date]["sha256"]}
    return {
        "grid": grid,
        "registration": plan["registration"],
        "normalisation": plan["normalisation"],
        "radiometry": plan["radiometry"],
        "tiles": {
            "core_px": lattice.core,
            "halo_px": lattice.halo,
            "core_m": round(lattice.core * scene.grid.pixel_size_m, 3),
            "count": len(lattice),
        },
    }
