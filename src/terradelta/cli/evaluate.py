"""``terradelta evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json, progress


def evaluate(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with A, B and label: run on its pairs, then compare."),
    ] = None,
    pred: Annotated[
        Path | None, typer.Option(help="Folder of change masks to compare with --truth.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Folder of true change masks.")] = None,
    model: o.ModelOption = "regions",
    preset: o.PresetOption = o.Preset.default,
    angle: o.AngleOption = None,
    otsu: o.OtsuOption = False,
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
    """Measure against the truth, pooled over a folder: run on its pairs, or compare masks on disk.

    Pixel precision, recall, F1 and IoU of the change class; macro F1 and IoU, the mean over the
    change and the no-change class; mask AR@1000 over the connected components of the truth.
    """
    from terradelta.errors import UsageError
    from terradelta.zeroshot.evaluation import evaluate_masks, evaluate_pairs

    if (data is None) == (pred is None) or (pred is None) != (truth is None):
        raise UsageError("give either --data DIR, or --pred DIR and --truth DIR")
    with progress() as report:
        if data is not None:
            anychange = o.load_model(
                model, preset, points_per_side, pred_iou, stability, nms, min_region_area, upscale,
                device, dtype, approximate,
            )  # fmt: skip
            result = evaluate_pairs(
                anychange, data, angle=angle, threshold="otsu" if otsu else None, progress=report
            )
        elif pred is not None and truth is not None:
            result = evaluate_masks(pred, truth, progress=report)
    if json:
        print_json(result.as_dict())
        return
    for name, value in result.as_dict().items():
        shown = f"{100 * value:.1f}" if isinstance(value, float) else str(value)
        out.print(f"{name:<12} {shown}")
