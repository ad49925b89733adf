"""``terradelta rounds``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from terradelta.cli import label as of_labels
from terradelta.cli import options as o
from terradelta.cli.console import out, print_json, progress


def rounds(
    context: typer.Context,
    pairs: Annotated[
        Path,
        typer.Argument(help="Dataset of pairs, or a folder with A and B.", metavar="PAIRS"),
    ],
    folder: o.OutOption,
    count: Annotated[int, typer.Option("-n", "--rounds", help="How many rounds.")] = 2,
    recipe: Annotated[
        str, typer.Option(help="TOML file of the training, or a recipe by name; see train.")
    ] = "quick",
    trained: Annotated[
        str | None,
        typer.Option("--train", help="Another detector than the recipe's.", metavar="NAME"),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Other number of steps of a training.")] = None,
    val: Annotated[
        Path | None,
        typer.Option(help="Labelled pairs to validate with, and choose the best.", metavar="DIR"),
    ] = None,
    model: o.ModelOption = None,
    detector: o.DetectorOption = None,
    preset: o.PresetOption = o.Preset.default,
    angle: o.AngleOption = None,
    otsu: o.OtsuOption = False,
    top_k: o.TopKOption = None,
    clicks: of_labels.ClicksOption = None,
    click_from_truth: of_labels.ClickFromTruthOption = False,
    click_on: of_labels.ClickOnOption = None,
    seed: of_labels.SeedOption = 0,
    curate: of_labels.CurateOption = None,
    least: of_labels.LeastOption = 0.0,
    most: of_labels.MostOption = 1.0,
    name: of_labels.NameOption = None,
    split: of_labels.SplitOption = None,
    crop: of_labels.CropOption = None,
    device: o.DeviceOption = "cpu",
    json: o.JsonOption = False,
) -> None:
    """Label, train, label again with what was trained, and so on; goes on after an interruption.

    Writes rounds.csv, and for every round its labels and its training. The truth of the pairs, where
    there is one, is only compared with.
    """
    from terradelta.engine import Asking, open_unlabelled, read_clicks
    from terradelta.engine import rounds as go
    from terradelta.train import load_settings, open_pairs

    o.check_model_options(context, detector)
    settings = load_settings(recipe, detector=trained, steps=steps)
    asking = Asking(
        angle=angle,
        threshold="otsu" if otsu else None,
        top_k=top_k,
        clicks=None if clicks is None else read_clicks(clicks),
        click_from_truth=click_from_truth,
        click_on=click_on.value if click_on else None,
        seed=seed,
        soft=settings.labels == "soft",
        both_dates=of_labels.Rule.dates in (curate or ()),
    )
    if detector is None:
        labeller = o.load_model(
            model, preset, None, None, None, None, 0, 1, device, o.Dtype.float32
        )
    else:
        labeller = o.load_detector(detector, device, o.Dtype.float32)
    with progress() as tell:
        done = go(
            open_unlabelled(pairs, name, split, crop=crop),
            labeller,
            settings,
            folder,
            count,
            asking=asking,
            curation=of_labels.curation_of(curate, least, most),
            val_data=None if val is None else open_pairs(val, "val"),
            device=device,
            progress=tell,
        )
    if json:
        print_json([asdict(each) for each in done])
        return
    for each in done:
        out.print(
            f"round {each.round}: {each.labels:,} labels of {each.labeller}"
            f"{_score(', F1 of the labels', each.label_f1)}{_score(', of the detector', each.val_f1)}"
        )
    out.print(f"detector {folder / done[-1].detector}")


def _score(title: str, value: Any) -> str:
    return "" if value is None else f"{title} {value:.3f}"
