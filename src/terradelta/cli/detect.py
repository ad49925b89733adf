"""``terradelta detect``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import typer

from terradelta.cli import options as o
from terradelta.cli.console import err, out, print_json, progress


def detect(
    context: typer.Context,
    folder: o.OutOption,
    before: o.OptionalBeforeArgument = None,
    after: o.OptionalAfterArgument = None,
    pairs: o.PairsOption = None,
    detector: o.DetectorOption = None,
    probability: o.ProbabilityOption = 0.5,
    oracle: o.OracleOption = None,
    model: o.ModelOption = None,
    preset: o.PresetOption = o.Preset.default,
    angle: o.AngleOption = None,
    otsu: o.OtsuOption = False,
    top_k: o.TopKOption = None,
    points_per_side: o.PointsOption = None,
    pred_iou: o.PredIouOption = None,
    stability: o.StabilityOption = None,
    nms: o.NmsOption = None,
    min_region_area: o.MinAreaOption = 0,
    upscale: o.UpscaleOption = 1,
    device: o.DeviceOption = "cpu",
    dtype: o.DtypeOption = o.Dtype.float32,
    approximate: o.ApproximateOption = None,
    features: o.FeaturesOption = None,
    tile: o.TileOption = None,
    bands: o.BandsOption = None,
    aoi: o.AoiOption = None,
    normalise: o.NormaliseOption = True,
    register: o.RegisterOption = False,
    vector: o.VectorOption = "changes.gpkg",
    stac: o.StacOption = False,
    ray: o.RayOption = None,
    json: o.JsonOption = False,
) -> None:
    """Find all changes between two images and write them as polygons, mask, score and picture.

    Two georeferenced rasters are a scene: of any size, on any grids that overlap, worked off in tiles.
    A run that was interrupted goes on when the same command is given again.
    With --detector a trained network looks for changes instead of AnyChange.
    """
    from terradelta.errors import UsageError
    from terradelta.geo.files import writable_folder
    from terradelta.zeroshot.thresholds import check_choice

    if (pairs is None) == (before is None or after is None) or (pairs and before):
        raise UsageError("give two images, BEFORE and AFTER, or --pairs with a CSV file of them")
    o.check_model_options(context, detector, oracle)
    threshold = "otsu" if otsu else None
    check_choice(angle, threshold, top_k)
    asked: dict[str, Any] = {"angle": angle, "threshold": threshold, "top_k": top_k}
    of_scenes = {
        "tile": tile,
        "bands": o.parse_bands(bands),
        "aoi": aoi,
        "normalise": normalise,
        "register": register,
        "vector": vector,
        "stac": stac,
        "ray": ray,
    }
    writable_folder(folder)
    if detector is None:
        chosen = o.load_model(
            model, preset, points_per_side, pred_iou, stability, nms, min_region_area, upscale,
            device, dtype, approximate, features, oracle,
        )  # fmt: skip
    else:
        chosen, asked = o.load_detector(detector, device, dtype), {"threshold": probability}
    work = partial(_detect_pair, chosen, asked, of_scenes)
    if pairs is not None:
        _detect_all(pairs, folder, work, json)
    elif before is not None and after is not None:
        with progress() as report:
            record, files, note = work(before, after, folder, report)
        announce(record, files, note, json)


def _detect_pair(
    model: Any,
    asked: dict[str, Any],
    of_scenes: dict[str, Any],
    before: Path,
    after: Path,
    folder: Path,
    report: Any,
) -> tuple[dict[str, Any], list[Path], str]:
    """The record of a pair, its files, and what else there is to say."""
    from terradelta.run import detect_scene, is_placed

    unplaced = [path for path in (before, after) if not is_placed(path)]
    if not unplaced:
        result = detect_scene(
            before, after, folder, model=model, progress=report, **asked, **of_scenes
        )
        return result.record, list(result.files), ""
    _refuse_options_of_scenes(of_scenes)
    record, files, note = save(model.detect(before, after, progress=report, **asked), folder)
    if len(unplaced) == 1:
        note = f"note: {unplaced[0]} has no coordinates: the results are in pixels\n{note}".strip()
    return record, files, note


def save(changes: Any, folder: Path) -> tuple[dict[str, Any], list[Path], str]:
    """Write the changes of one image: the record, the files, and what else there is to say."""
    from terradelta.zeroshot.outputs import describe_run

    files = changes.save(folder)
    return describe_run(changes, [path.name for path in files]), files, _canvas_note(changes)


def _refuse_options_of_scenes(given: dict[str, Any]) -> None:
    from terradelta.errors import UsageError

    usual = {"normalise": True, "vector": "changes.gpkg", "register": False, "stac": False}
    unusual = [name for name, value in given.items() if value != usual.get(name)]
    if unusual:
        names = ", ".join(f"--{name}" for name in unusual).replace("--normalise", "--no-normalise")
        raise UsageError(f"{names}: only for two georeferenced rasters, and one of these is not")


def _detect_all(pairs: Path, folder: Path, work: Any, as_json: bool) -> None:
    from terradelta.run.batch import detect_pairs

    with progress() as report:
        rows = detect_pairs(pairs, folder, work, report)
    failed = [row for row in rows if row["error"]]
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            told = f"failed: {row['error']}" if row["error"] else f"{row['changes']} changes"
            out.print(f"{row['name']}: {told}")
        out.print(f"{len(rows) - len(failed)} of {len(rows)} pairs, see {folder / 'summary.csv'}")
    if failed:
        raise typer.Exit(1)


def announce(record: dict[str, Any], files: list[Path], note: str, as_json: bool) -> None:
    """Say what was found and written."""
    if as_json:
        print_json(record)
        return
    if "threshold_deg" in record:
        above = f"{record['threshold_deg']:.1f} degrees"
    else:
        above = f"a probability of {record['threshold_probability']:g}"
    out.print(
        f"{record['changes']} changes above {above}, {record['changed_fraction']:.1%} of the area"
    )
    for path in files:
        out.print(f"  {path}")
    if note:
        err.print(note)


def _canvas_note(changes: Any) -> str:
    """What to do about an image that the network saw smaller than it is; empty if it did not."""
    height, width = changes.pair.shape
    canvas = changes.settings.get("canvas_px")
    if not canvas or max(height, width) <= canvas:
        return ""
    return (
        f"note: {width} x {height} px were shrunk to {canvas} px for the network; "
        f"--upscale {-(-max(height, width) // canvas)} also looks at windows of full detail"
    )
