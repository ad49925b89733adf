"""Options that more than one command has."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT_MODEL = "regions"


class Preset(StrEnum):
    """Named settings; see `terradelta.zeroshot.anychange.PRESETS`."""

    default = "default"
    paper = "paper"
    paper_xview2 = "paper-xview2"


class Approximation(StrEnum):
    """Names of `terradelta.sam.proposals.APPROXIMATIONS`."""

    grid = "grid"
    stability = "stability"


class Dtype(StrEnum):
    """dtypes of the network's matrix products."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


BeforeArgument = Annotated[
    Path, typer.Argument(help="Image of the earlier date.", metavar="BEFORE")
]
AfterArgument = Annotated[
    Path, typer.Argument(help="Image of the later date, on the same pixel grid.", metavar="AFTER")
]
OutOption = Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Segmenter: a name of `terradelta models`, or a path of SAM weights.",
        show_default=DEFAULT_MODEL,
    ),
]
PresetOption = Annotated[
    Preset, typer.Option(help="The segmenter's own settings, or those of the paper.")
]
AngleOption = Annotated[
    float | None,
    typer.Option(
        help="Angle in degrees above which a mask is a change; larger finds less. "
        "The paper's threshold T is 180 minus it."
    ),
]
OtsuOption = Annotated[bool, typer.Option("--otsu", help="Choose the angle from the pair (Otsu).")]
TopKOption = Annotated[
    int | None, typer.Option("--top-k", help="Keep the K largest angles instead.", metavar="K")
]
PointsOption = Annotated[
    int | None,
    typer.Option("--points-per-side", help="n of the n x n grid of points that are segmented."),
]
PredIouOption = Annotated[
    float | None, typer.Option("--pred-iou", help="Lowest predicted IoU of a mask, 0 to 1.")
]
StabilityOption = Annotated[float | None, typer.Option(help="Lowest stability of a mask, 0 to 1.")]
NmsOption = Annotated[
    float | None, typer.Option(help="IoU of boxes above which masks are duplicates, 0 to 1.")
]
MinAreaOption = Annotated[
    int, typer.Option("--min-region-area", help="Drop islands and holes smaller than this, in px.")
]
UpscaleOption = Annotated[
    int, typer.Option(help="Enlarge the images by this factor to find tiny changes.")
]
FeaturesOption = Annotated[
    str | None,
    typer.Option(
        help="Match the masks in another embedding: dinov2-s, -b, -l, -g, sam-key, or a DINOv2 folder."
    ),
]
DeviceOption = Annotated[str, typer.Option(help="Where the network runs: cpu, cuda or mps.")]
ApproximateOption = Annotated[
    list[Approximation] | None,
    typer.Option(
        help="Trade exactness for speed (SAM): a coarse grid of points first, stability on "
        "low-resolution logits. Repeat it for both."
    ),
]
OptionalBeforeArgument = Annotated[
    Path | None, typer.Argument(help="Image or raster of the earlier date.", metavar="BEFORE")
]
OptionalAfterArgument = Annotated[
    Path | None,
    typer.Argument(
        help="That of the later date: on the same pixel grid, or georeferenced as BEFORE is.",
        metavar="AFTER",
    ),
]
PairsOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV of many pairs instead: columns before, after and, if wanted, name. Paths are "
        "relative to it. Each pair gets a folder of its own."
    ),
]
TileOption = Annotated[
    int | None, typer.Option(help="Scenes: side of a tile in pixels, without its halo.")
]
BandsOption = Annotated[
    str | None,
    typer.Option(help="Scenes: one or three bands of both files, counted from 1, as 4,3,2."),
]
AoiOption = Annotated[
    Path | None,
    typer.Option(help="Scenes: vector file of polygons to which the search is limited."),
]
NormaliseOption = Annotated[
    bool, typer.Option(help="Scenes: bring the radiometry of AFTER to that of BEFORE.")
]
RegisterOption = Annotated[
    bool, typer.Option("--register", help="Scenes: measure a constant shift of AFTER and undo it.")
]
VectorOption = Annotated[
    str,
    typer.Option(
        help="Scenes: name of the file of objects, .gpkg, .parquet, .fgb or .geojson.",
    ),
]
StacOption = Annotated[
    bool, typer.Option("--stac", help="Scenes: write a STAC item, item.json, as well.")
]
RayOption = Annotated[
    str | None,
    typer.Option(
        help="Scenes: spread the tiles over a Ray cluster: auto, an address, local or local:N.",
        metavar="auto|ADDRESS|local[:N]",
    ),
]
DetectorOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a trained detector, to be used instead of AnyChange.", metavar="DIR"
    ),
]
OracleOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a trained oracle, to be used instead of SAM; --model says where its SAM is, if "
        "that has moved.",
        metavar="DIR",
    ),
]
ProbabilityOption = Annotated[
    float,
    typer.Option(
        help="With --detector: a pixel above this probability is change; larger finds less."
    ),
]
DtypeOption = Annotated[Dtype, typer.Option(help="dtype of the network's matrix products.")]

OF_ANYCHANGE = (
    "oracle", "model", "preset", "angle", "otsu", "top_k", "points_per_side", "pred_iou", "stability",
    "nms", "min_region_area", "upscale", "approximate", "features",
)  # fmt: skip
"""Parameters of commands that mean nothing to a detector."""


def check_model_options(
    context: typer.Context, detector: Path | None, oracle: Path | None = None
) -> None:
    """Raises UsageError for an option that means nothing to the model of change that is asked for."""
    if detector is None:
        _refuse(context, ("probability",), "only with --detector")
    else:
        _refuse(context, OF_ANYCHANGE, "not with --detector")
    if oracle is not None:
        _refuse(context, ("features",), "not with --oracle, which scores its own embedding")


def _refuse(context: typer.Context, names: tuple[str, ...], reason: str) -> None:
    from terradelta.errors import UsageError

    given = [
        max(one.opts, key=len)
        for one in context.command.params
        if one.name in names
        and getattr(context.get_parameter_source(one.name), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise UsageError(f"{', '.join(given)}: {reason}")


def parse_bands(text: str | None) -> tuple[int, ...] | None:
    """``"4,3,2"`` as (4, 3, 2)."""
    from terradelta.errors import UsageError

    if text is None:
        return None
    numbers = text.split(",")
    if not all(number.strip().isdecimal() for number in numbers):
        raise UsageError(f"--bands {text}: give band numbers with commas between them, as 4,3,2")
    return tuple(int(number) for number in numbers)


def load_detector(folder: Path, device: str, dtype: Dtype) -> Any:
    """The `DetectorModel` in a folder."""
    import torch

    from terradelta.detectors.changes import load_change_detector

    return load_change_detector(folder, check_device(device), getattr(torch, dtype.value))


def check_device(device: str) -> str:
    """The name of a device, if torch knows it."""
    import torch

    from terradelta.errors import UsageError

    try:
        torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"unknown device {device!r}: use cpu, cuda or mps") from error
    return device


def load_model(
    model: str | None,
    preset: Preset,
    points_per_side: int | None,
    pred_iou: float | None,
    stability: float | None,
    nms: float | None,
    min_region_area: int,
    upscale: int,
    device: str,
    dtype: Dtype,
    approximate: list[Approximation] | None = None,
    features: str | None = None,
    oracle: Path | None = None,
) -> Any:
    """The `AnyChange` or the `Oracle` that the options describe."""
    import torch

    settings: dict[str, Any] = {
        "preset": preset.value,
        "points_per_side": points_per_side,
        "pred_iou": pred_iou,
        "stability": stability,
        "nms": nms,
        "min_region_area": min_region_area,
        "upscale": upscale,
        "device": check_device(device),
        "dtype": getattr(torch, dtype.value),
        "approximate": [name.value for name in approximate or ()],
    }
    if oracle is not None:
        from terradelta.oracle import load_oracle

        return load_oracle(oracle, segmenter=model, **settings)
    from terradelta import AnyChange

    return AnyChange(DEFAULT_MODEL if model is None else model, features=features, **settings)
