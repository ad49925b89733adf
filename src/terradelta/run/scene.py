"""Changes of a pair of rasters of any size: plan, tiles, finish."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from terradelta import __version__
from terradelta.detectors.changes import DetectorModel
from terradelta.errors import OutputError, UsageError
from terradelta.geo.files import writable_folder, write_json
from terradelta.geo.reader import georeference_of, opened
from terradelta.geo.scratch import moved_together
from terradelta.geo.stac import stac_item
from terradelta.geo.tiles import Key
from terradelta.geo.vector import check_suffix
from terradelta.run.anychange_tile import AnyChangeScene
from terradelta.run.choose import Choice
from terradelta.run.detector_tile import DetectorScene
from terradelta.run.finish import MASK_FILE, OVERLAY_FILE, SCORE_FILE, Finished, finish
from terradelta.run.journal import Journal, open_journal
from terradelta.run.model import SceneModel
from terradelta.run.parts import Part, part_name, save_part
from terradelta.run.plan import ScenePlan, SceneSettings, make_plan
from terradelta.run.tile import TilePlan, examine, read_tile
from terradelta.types import Progress, silent
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.outputs import LIBRARIES

RUN_FOLDER = ".run"
RECORD_FILE, ITEM_FILE = "run.json", "item.json"


@dataclass(frozen=True, slots=True)
class SceneResult:
    """What `detect_scene` wrote: ``files``, and the ``record`` that `run.json` holds."""

    files: tuple[Path, ...]
    record: dict[str, Any]

    def __len__(self) -> int:
        return int(self.record["changes"])


def is_placed(path: str | Path) -> bool:
    """Whether a file says where it lies: two that do are a scene.

    Raises:
        InputError: it is missing or no image.
    """
    with opened(path) as source:
        return georeference_of(source) is not None


def detect_scene(
    before: str | Path,
    after: str | Path,
    out: str | Path,
    *,
    model: AnyChange | DetectorModel | None = None,
    angle: float | None = None,
    threshold: str | float | None = None,
    top_k: int | None = None,
    tile: int | None = None,
    halo: int | None = None,
    bands: Sequence[int] | None = None,
    aoi: str | Path | None = None,
    normalise: bool = True,
    register: bool = False,
    vector: str = "changes.gpkg",
    stac: bool = False,
    ray: str | None = None,
    progress: Progress = silent,
) -> SceneResult:
    """All changes between two georeferenced rasters, of any size, as files in the folder ``out``.

    They need not be on the same grid: *after* is brought to that of *before* where both lie (see
    `terradelta.geo.grid.common_grid`). The scene is worked off tile by tile in memory that does not
    grow with it. What is done is kept in ``out/.run``: after an interruption the same call goes on
    where it was. A later call with another ``angle``, ``threshold`` or ``top_k`` uses it as well.

    Args:
        model: by default ``AnyChange()``; or a trained detector, from `load_change_detector`.
        angle, threshold, top_k: see `AnyChange.detect`; they hold for the scene, not for a tile. With a
            detector ``threshold`` alone, a probability, 0.5 by default.
        tile: side of a tile's core in px of the grid. A fixed lattice in the CRS: the same ground is
            in the same tile in every run. By default what suits the model. With a detector a multiple
            of 32, as the halo.
        halo: how far a tile's window reaches beyond its core, px; at most half of the tile.
        bands: 1-based, one or three of both files; by default red, green and blue.
        aoi: vector file of polygons, in any CRS, to which the search is limited.
        normalise: bring the radiometry of *after* to that of *before*, if they fit.
        register: measure a constant shift of *after* and correct it.
        vector: name of the file of objects; its suffix is the format: .gpkg, .parquet, .fgb, .geojson.
        stac: write a STAC item, ``item.json``, as well.
        ray: ``"local"``, ``"local:N"``, ``"auto"`` or the address of a Ray cluster.
        progress: called with (stage, steps done, steps in all).

    Raises:
        InputError: a raster cannot be read, or they do not overlap.
        UsageError: a setting is out of range, or the folder holds a run with others.
        OutputError: something cannot be written.
    """
    looker = _scene_model(AnyChange() if model is None else model)
    choice = Choice(angle, threshold, top_k)
    looker.check(choice)
    check_suffix(Path(vector))
    settings = SceneSettings(
        tile,
        halo,
        None if bands is None else tuple(bands),
        None if aoi is None else Path(aoi),
        normalise,
        register,
    )
    folder = writable_folder(out)
    started = time.perf_counter()
    with _work_folder(folder) as work, open_journal(work / "journal.jsonl") as journal:
        stored = work / "plan.json"
        plan = make_plan(Path(before), Path(after), looker, settings, stored, progress)
        planned = time.perf_counter()
        with _nothing_lost(), moved_together(work / "made", folder, RECORD_FILE) as made:
            _look(plan, looker, work / "parts", journal, ray, progress)
            looked = time.perf_counter()
            found = finish(plan, looker, choice, work / "parts", made, vector, progress)
            files = [vector, MASK_FILE, SCORE_FILE, OVERLAY_FILE, *([ITEM_FILE] if stac else [])]
            seconds = {
                "plan": planned - started,
                "tiles": looked - planned,
                "finish": time.perf_counter() - looked,
            }
            now = datetime.now(UTC)
            if stac:
                item = stac_item(folder.resolve().name, plan.tiles.scene.grid, files[:-1], made=now)
                write_json(made / ITEM_FILE, item)
            files.append(RECORD_FILE)
            record = _record(plan, looker, choice, found, files, seconds, now)
            write_json(made / RECORD_FILE, record)
    return SceneResult(tuple(folder / name for name in files), record)


@contextmanager
def _nothing_lost() -> Iterator[None]:
    """Adds to what cannot be written what to do: the tiles that are done are kept."""
    try:
        yield
    except OutputError as error:
        raise OutputError(
            f"{error} (what is done is kept: if the disk is full make room, then give the same command "
            f"again to go on)"
        ) from error


def _scene_model(model: AnyChange | DetectorModel) -> SceneModel:
    if isinstance(model, DetectorModel):
        return DetectorScene(model)
    if model.compat is not None:
        raise UsageError("compat is for comparisons on one image: it cannot work on scenes")
    return AnyChangeScene(model)


def _look(
    plan: ScenePlan,
    model: SceneModel,
    parts: Path,
    journal: Journal,
    ray: str | None,
    progress: Progress,
) -> None:
    """Look at every tile that no earlier run has finished."""
    done = {tuple(entry["tile"]) for entry in journal.entries if _is_there(entry, parts)}
    left = [key for key in plan.keys if key not in done]
    count = len(plan.keys)
    progress("tiles", count - len(left), count)
    if not left:
        return
    if ray is None:
        stream = in_this_process(plan.tiles, model, left)
    else:
        from terradelta.run.ray import on_ray

        stream = on_ray(plan.tiles, model, left, ray)
    # Its thread must end here if the loop does: the garbage collector would wait for it for ever.
    with closing(stream):
        for number, part in enumerate(stream, count - len(left) + 1):
            size = save_part(part, parts)
            journal.append({"tile": list(part.key), "bytes": size})
            progress("tiles", number, count)


def in_this_process(
    plan: TilePlan, model: SceneModel, keys: Sequence[Key]
) -> Generator[Part, None, None]:
    """The parts of tiles, in order; the next window is read while one is looked at."""
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(read_tile, plan, keys[0])
        try:
            for key, following in zip(keys, [*keys[1:], None], strict=True):
                pair = ahead.result()
                if following is not None:
                    ahead = reader.submit(read_tile, plan, following)
                yield examine(plan, model, key, pair)
        finally:
            ahead.cancel()
            reader.submit(plan.scene.close).result()


def _is_there(entry: dict[str, Any], parts: Path) -> bool:
    row, column = entry["tile"]
    path = parts / part_name((row, column))
    return path.exists() and path.stat().st_size == entry["bytes"]


@contextmanager
def _work_folder(folder: Path) -> Iterator[Path]:
    """Where the run keeps what is done; gone again if it ends before there is a plan."""
    work = folder / RUN_FOLDER
    try:
        (work / "parts").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {work}: {error.strerror}") from error
    try:
        yield work
    finally:
        if not (work / "plan.json").exists():
            shutil.rmtree(work, ignore_errors=True)


def _record(
    plan: ScenePlan,
    model: SceneModel,
    choice: Choice,
    found: Finished,
    files: list[str],
    seconds: dict[str, float],
    finished: datetime,
) -> dict[str, Any]:
    """What `run.json` records: inputs with their hashes, settings, result and versions."""
    grid = plan.tiles.scene.grid
    facts = dict(plan.facts)
    described = facts.pop("grid")
    return {
        "terradelta": __version__,
        "finished": finished.isoformat(timespec="seconds"),
        "before": described.pop("before"),
        "after": described.pop("after"),
        "size_px": [grid.width, grid.height],
        "valid_fraction": round(found.valid / (grid.width * grid.height), 6),
        "crs": described.pop("crs"),
        "transform": described.pop("transform"),
        "grid": described,
        **facts,
        **model.describe(),
        "asked": choice.given,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        **model.describe_threshold(found.threshold),
        "changes": found.objects,
        "changed_fraction": round(found.changed / (grid.width * grid.height), 6),
        "score_image": model.score_unit,
        "files": files,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
