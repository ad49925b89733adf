"""``terradelta evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json, progress

if TYPE_CHECKING:
    from terradelta.zeroshot.evaluation import Evaluation


def evaluate(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a known dataset, or with A, B and label: run on its pairs, then compare."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of the dataset, where it has more than one.")
    ] = None,
    pred: Annotated[
        Path | None, typer.Option(help="Folder of change masks to compare with --truth.")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="Folder of true change masks.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for per_image.csv and metrics.json."),
    ] = None,
    detector: o.DetectorOption = None,
    probability: o.ProbabilityOption = 0.5,
    oracle: o.OracleOption = None,
    model: o.ModelOption = None,
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
    features: o.FeaturesOption = None,
    json: o.JsonOption = False,
) -> None:
    """Measure against the truth, pooled over a folder: run on its pairs, or compare masks on disk.

    Pixels: precision, recall, F1 and IoU of the change class, overall
    accuracy and kappa; macro is the mean over change and no change.
    Objects, the connected components of the truth: mask AR@1000, also of
    small, medium and large ones; precision, recall and F1 at an IoU of 0.5.
    Each with its 95 % interval over the images; see docs/metrics.md.
    """
    from terradelta.errors import UsageError
    from terradelta.geo.files import writable_folder
    from terradelta.zeroshot.evaluation import evaluate_masks, evaluate_pairs

    if (data is None) == (pred is None) or (pred is None) != (truth is None):
        raise UsageError("give either --data DIR, or --pred DIR and --truth DIR")
    o.check_model_options(context, detector, oracle)
    if folder is not None:
        writable_folder(folder)
    with progress() as report:
        if data is not None:
            from terradelta.data import open_dataset

            dataset = open_dataset(data, split=split)
            if detector is None:
                chosen = o.load_model(
                    model, preset, points_per_side, pred_iou, stability, nms, min_region_area,
                    upscale, device, dtype, approximate, features, oracle,
                )  # fmt: skip
                asked: dict[str, Any] = {"angle": angle, "threshold": "otsu" if otsu else None}
            else:
                chosen, asked = o.load_detector(detector, device, dtype), {"threshold": probability}
            result = evaluate_pairs(chosen, dataset, progress=report, **asked)
            protocol: dict[str, Any] = {
                "data": str(dataset.root),
                "dataset": dataset.name,
                "split": dataset.split,
                "settings": {**chosen.describe(), **asked},
            }
        elif pred is not None and truth is not None:
            result = evaluate_masks(pred, truth, progress=report)
            protocol = {"pred": str(pred), "truth": str(truth)}
    if folder is not None:
        result.save(folder, **protocol)
    if json:
        print_json({**result.as_dict(), **protocol})
        return
    for line in _table(result):
        out.print(line)


def _table(result: Evaluation) -> list[str]:
    """Counts as they are; then every metric in percent, with its interval where it has one."""
    told = result.as_dict()
    intervals = told.pop("interval_95")
    wide = max(len(name) for name in told)
    lines = []
    for name, value in told.items():
        low, high = intervals.get(name, (None, None))
        interval = "" if low is None else f"  {100 * low:.1f} to {100 * high:.1f}"
        lines.append(f"{name:<{wide}} {_shown(value):>7}{interval}")
    lines.append(
        "in percent, with the 95 % interval over the images"
        if told["images"] > 1
        else "in percent; one image has no interval over images"
    )
    return lines


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{100 * value:.1f}"
