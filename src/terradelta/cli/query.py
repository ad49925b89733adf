"""``terradelta query``."""

from __future__ import annotations

from typing import Annotated

import typer

from terradelta.cli import options as o
from terradelta.cli.console import progress
from terradelta.cli.detect import announce, save


def query(
    before: o.BeforeArgument,
    after: o.AfterArgument,
    folder: o.OutOption,
    at: Annotated[
        list[str],
        typer.Option(
            help="A click: x and y in pixels from the top left corner, and the date whose image "
            "shows the object. Repeat it to click several objects of one kind.",
            metavar="X,Y,before|after",
        ),
    ],
    object_angle: Annotated[
        float | None,
        typer.Option(help="How alike to the click, in degrees; smaller keeps fewer changes."),
    ] = None,
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
    json: o.JsonOption = False,
) -> None:
    """Find the changes of one kind of object: click one, or several, on either date."""
    from terradelta.geo.files import writable_folder

    clicks = [_click(text) for text in at]
    writable_folder(folder)
    anychange = o.load_model(
        model, preset, points_per_side, pred_iou, stability, nms, min_region_area, upscale, device,
        dtype, approximate, features,
    )  # fmt: skip
    with progress() as report:
        changes = anychange.query(
            before,
            after,
            points=clicks,
            object_angle=object_angle,
            angle=angle,
            threshold="otsu" if otsu else None,
            top_k=top_k,
            progress=report,
        )
    announce(*save(changes, folder), json)


def _click(text: str) -> tuple[float, float, str]:
    from terradelta.errors import UsageError

    try:
        x, y, date = text.split(",")
        click = float(x), float(y), date.strip()
    except ValueError as error:
        raise UsageError(f"--at {text!r} is not X,Y,before or X,Y,after") from error
    if click[2] not in ("before", "after"):
        raise UsageError(f"--at {text!r} is not X,Y,before or X,Y,after")
    return click
