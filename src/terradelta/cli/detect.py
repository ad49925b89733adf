"""``terradelta detect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terradelta.cli import options as o
from terradelta.cli.console import err, out, print_json, progress


def detect(
    before: o.BeforeArgument,
    after: o.AfterArgument,
    folder: o.OutOption,
    model: o.ModelOption = "regions",
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
    json: o.JsonOption = False,
) -> None:
    """Find all changes between two images and write them as polygons, mask, score and picture."""
    from terradelta.geo.files import writable_folder

    writable_folder(folder)
    anychange = o.load_model(
        model, preset, points_per_side, pred_iou, stability, nms, min_region_area, upscale, device,
        dtype, approximate,
    )  # fmt: skip
    with progress() as report:
        changes = anychange.detect(
            before,
            after,
            angle=angle,
            threshold="otsu" if otsu else None,
            top_k=top_k,
            progress=report,
        )
    announce(changes, folder, json)


def announce(changes: Any, folder: Path, as_json: bool) -> None:
    """Write the results and say what they are."""
    from terradelta.zeroshot.outputs import describe_run

    files = changes.save(folder)
    if as_json:
        print_json(describe_run(changes, [path.name for path in files]))
        return
    share = changes.to_mask().mean()
    out.print(
        f"{len(changes)} changes above {changes.threshold:.1f} degrees, {share:.1%} of the area"
    )
    for path in files:
        out.print(f"  {path}")
    height, width = changes.pair.shape
    canvas = changes.settings.get("canvas_px")
    if canvas and max(height, width) > canvas:
        err.print(
            f"note: {width} x {height} px were shrunk to {canvas} px for the network; "
            f"--upscale {-(-max(height, width) // canvas)} also looks at windows of full detail"
        )
