"""``terradelta label``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from terradelta.cli import options as o
from terradelta.cli.console import err, out, print_json, progress


class Date(StrEnum):
    """The date on which objects are clicked."""

    before = "before"
    after = "after"


class Rule(StrEnum):
    """Rules of curation, at the values of `terradelta.engine.curate`."""

    neighbours = "neighbours"
    dates = "dates"
    repeats = "repeats"


ClicksOption = Annotated[
    Path | None,
    typer.Option(
        help="CSV of clicks: columns name, x, y (px from the top left) and date (before or after). "
        "A row with a name alone says that nothing of the kind has changed there."
    ),
]
ClickFromTruthOption = Annotated[
    bool,
    typer.Option(
        "--click-from-truth",
        help="Click a random object of the truth of every pair, in your place.",
    ),
]
ClickOnOption = Annotated[
    Date | None, typer.Option(help="Date of the objects that are clicked from the truth.")
]
SoftOption = Annotated[
    bool, typer.Option("--soft", help="Write soft labels as well, the chance of change.")
]
CurateOption = Annotated[
    list[Rule] | None,
    typer.Option(
        help="Leave out what is likely wrong: pixels on which their neighbours, or both dates, do not "
        "agree; pairs that repeat another. Repeat it for several."
    ),
]
LeastOption = Annotated[
    float, typer.Option("--min-changed", help="Drop pairs with a smaller share of change, 0 to 1.")
]
MostOption = Annotated[
    float, typer.Option("--max-changed", help="Drop pairs with a larger share of change, 0 to 1.")
]
NameOption = Annotated[
    str | None, typer.Option(help="Name of the dataset, if it is not recognised by its layout.")
]
SplitOption = Annotated[
    str | None,
    typer.Option(help="Split of the dataset, or all; by default train, if there is one."),
]
CropOption = Annotated[
    int | None,
    typer.Option(help="Cut pairs into squares of so many pixels; a scene by default into 512."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the clicks from the truth.")]


def label(
    context: typer.Context,
    pairs: Annotated[
        Path,
        typer.Argument(
            help="Dataset of pairs or a folder with A and B; or the raster of the earlier date.",
            metavar="PAIRS|BEFORE",
        ),
    ],
    folder: o.OutOption,
    after: Annotated[
        Path | None,
        typer.Argument(help="Scenes: the raster of the later date.", metavar="AFTER"),
    ] = None,
    model: o.ModelOption = None,
    detector: o.DetectorOption = None,
    preset: o.PresetOption = o.Preset.default,
    angle: o.AngleOption = None,
    otsu: o.OtsuOption = False,
    top_k: o.TopKOption = None,
    clicks: ClicksOption = None,
    click_from_truth: ClickFromTruthOption = False,
    click_on: ClickOnOption = None,
    seed: SeedOption = 0,
    soft: SoftOption = False,
    curate: CurateOption = None,
    least: LeastOption = 0.0,
    most: MostOption = 1.0,
    name: NameOption = None,
    split: SplitOption = None,
    crop: CropOption = None,
    bands: o.BandsOption = None,
    aoi: o.AoiOption = None,
    normalise: o.NormaliseOption = True,
    register: o.RegisterOption = False,
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
    """Write a dataset of pseudo labels for a folder of pairs or a scene, to train a detector on.

    A, B and label in the folder of results can be learnt from: terradelta train quick --data OUT -o DIR.
    The same command again goes on after an interruption.
    """
    from terradelta.engine import Asking, label, label_scene, open_unlabelled, read_clicks
    from terradelta.errors import UsageError

    o.check_model_options(context, detector)
    of_scenes = {
        "bands": o.parse_bands(bands),
        "aoi": aoi,
        "normalise": normalise,
        "register": register,
    }
    if after is None and of_scenes != NOT_OF_SCENES:
        raise UsageError("--bands, --aoi, --no-normalise and --register: only for scenes")
    if after is not None and (name, split) != (None, None):
        raise UsageError("--name and --split: only for a dataset of pairs")
    asking = Asking(
        angle=angle,
        threshold="otsu" if otsu else None,
        top_k=top_k,
        clicks=None if clicks is None else read_clicks(clicks),
        click_from_truth=click_from_truth,
        click_on=click_on.value if click_on else None,
        seed=seed,
        soft=soft,
        both_dates=Rule.dates in (curate or ()),
    )
    curation = curation_of(curate, least, most)
    if detector is None:
        labeller = o.load_model(
            model, preset, points_per_side, pred_iou, stability, nms, min_region_area, upscale, device,
            dtype, approximate, features,
        )  # fmt: skip
    else:
        labeller = o.load_detector(detector, device, dtype)
    with progress() as tell:
        if after is None:
            dataset = open_unlabelled(pairs, name, split, crop=crop)
            made = label(dataset, labeller, folder, asking=asking, curation=curation, progress=tell)
        else:
            made = label_scene(
                pairs, after, labeller, folder, crop=crop or 512, asking=asking, curation=curation,
                options=of_scenes, progress=tell,
            )  # fmt: skip
    if json:
        print_json({"folder": str(made.folder), **made.summary})
    else:
        _tell(made.summary, folder)
    if made.summary["failed"]:
        raise typer.Exit(1)


NOT_OF_SCENES = {"bands": None, "aoi": None, "normalise": True, "register": False}


def curation_of(rules: list[Rule] | None, least: float, most: float) -> Any:
    """The `Curation` that the options describe; that of both dates is asked of the model."""
    from terradelta.engine import Curation
    from terradelta.engine.curate import ALIKE, NEIGHBOURS_PX

    chosen = set(rules or ())
    return Curation(
        least_changed=least,
        most_changed=most,
        neighbours=NEIGHBOURS_PX if Rule.neighbours in chosen else 1,
        alike=ALIKE if Rule.repeats in chosen else None,
    )


def _tell(summary: dict[str, Any], folder: Path) -> None:
    out.print(f"pairs      {summary['pairs']:,}")
    out.print(f"labelled   {summary['labelled']:,}, {summary['without_change']:,} without change")
    for name, title in (("changed_fraction", "changed"), ("known_fraction", "known")):
        if summary[name] is not None:
            out.print(f"{title:<10} {summary[name]:.1%} of the {WHERE[name]} pixels")
    for reason, count in summary["dropped"].items():
        out.print(f"dropped    {count:,}: {reason}")
    for name, reason in summary["failed"].items():
        err.print(f"failed: {name}: {reason}")
    out.print(f"labels     {folder}")


WHERE = {"changed_fraction": "known", "known_fraction": "valid"}
