"""``terradelta bench``: one command for each of the papers' tables."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from terradelta.cli import options as o
from terradelta.cli.console import err, out, print_json, progress


class Date(StrEnum):
    """The date on which objects are clicked."""

    before = "before"
    after = "after"


DataOption = Annotated[
    Path,
    typer.Option(help="A dataset as it was published, or a folder with A, B and label."),
]
FolderOption = Annotated[
    Path, typer.Option("-o", "--out", help="Folder for the results; goes on where it stopped.")
]
NameOption = Annotated[
    str | None, typer.Option(help="Name of the dataset, if it is not recognised by its layout.")
]
SplitOption = Annotated[
    str | None, typer.Option(help="Split of the dataset, or all; by default that for testing.")
]
CropOption = Annotated[
    int | None, typer.Option(help="Cut every pair into squares of so many pixels.")
]
LimitOption = Annotated[int | None, typer.Option(help="Only the first N pairs.", metavar="N")]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="Segmenter: a name of `terradelta models`, or a path of SAM weights. Repeat it for "
        "several; regions by default.",
    ),
]
FeaturesOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Features of the methods that need them: a name, as dinov2-b, or a path of DINOv2 "
        "weights. Repeat it for several; dinov2-g, the paper's, by default."
    ),
]
MethodsOption = Annotated[
    list[str] | None,
    typer.Option("--methods", help="A method to run; repeat it for several.", metavar="NAME"),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of what is drawn at random.")]
ClickedDateOption = Annotated[
    Date | None,
    typer.Option(
        "--click-on", help="Date of the objects that are clicked; by default what the dataset has."
    ),
]


def proposals(
    data: DataOption,
    folder: FolderOption,
    name: NameOption = None,
    split: SplitOption = None,
    crop: CropOption = None,
    limit: LimitOption = None,
    model: ModelsOption = None,
    features: FeaturesOption = None,
    methods: MethodsOption = None,
    device: o.DeviceOption = "cpu",
    json: o.JsonOption = False,
) -> None:
    """AnyChange, table 1: pixels and mask AR@1000 of every method that needs no labels."""
    _produce(
        "proposals", data, folder, name, split, crop, limit, device, json,
        models=model, features=features, methods=methods,
    )  # fmt: skip


def directions(
    data: DataOption,
    folder: FolderOption,
    name: NameOption = None,
    split: SplitOption = None,
    crop: CropOption = None,
    limit: LimitOption = None,
    model: ModelsOption = None,
    device: o.DeviceOption = "cpu",
    json: o.JsonOption = False,
) -> None:
    """AnyChange, table 2: masks of one date matched with the other date, or both ways."""
    _produce("directions", data, folder, name, split, crop, limit, device, json, models=model)


def radiation(
    data: DataOption,
    folder: FolderOption,
    name: NameOption = None,
    split: SplitOption = None,
    crop: CropOption = None,
    limit: LimitOption = None,
    model: ModelsOption = None,
    features: FeaturesOption = None,
    methods: MethodsOption = None,
    seed: SeedOption = 0,
    device: o.DeviceOption = "cpu",
    json: o.JsonOption = False,
) -> None:
    """AnyChange, table 3: the later date in another light. Other methods than AnyChange can be asked."""
    _produce(
        "radiation", data, folder, name, split, crop, limit, device, json,
        models=model, features=features, methods=methods, seed=seed,
    )  # fmt: skip


def clicks(
    data: DataOption,
    folder: FolderOption,
    name: NameOption = None,
    split: SplitOption = None,
    crop: CropOption = None,
    limit: LimitOption = None,
    model: ModelsOption = None,
    click_on: ClickedDateOption = None,
    seed: SeedOption = 0,
    device: o.DeviceOption = "cpu",
    json: o.JsonOption = False,
) -> None:
    """AnyChange, table 4: no click, one and three clicks on random objects of the truth."""
    _produce(
        "clicks", data, folder, name, split, crop, limit, device, json,
        models=model, click_on=click_on, seed=seed,
    )  # fmt: skip


def unsupervised(
    data: DataOption,
    folder: FolderOption,
    name: NameOption = None,
    split: SplitOption = None,
    crop: CropOption = None,
    limit: LimitOption = None,
    model: ModelsOption = None,
    features: FeaturesOption = None,
    methods: MethodsOption = None,
    device: o.DeviceOption = "cpu",
    json: o.JsonOption = False,
) -> None:
    """AnyChange, table 6: change detection without labels, pixels alone."""
    _produce(
        "unsupervised", data, folder, name, split, crop, limit, device, json,
        models=model, features=features, methods=methods,
    )  # fmt: skip


def latent(
    data: DataOption,
    folder: FolderOption,
    name: NameOption = None,
    split: SplitOption = None,
    crop: CropOption = None,
    limit: LimitOption = None,
    model: ModelsOption = None,
    click_on: ClickedDateOption = None,
    seed: SeedOption = 0,
    device: o.DeviceOption = "cpu",
    json: o.JsonOption = False,
) -> None:
    """AnyChange, figure 3: the embeddings as pictures, and whether things of one kind are alike."""
    _produce(
        "latent", data, folder, name, split, crop, limit, device, json,
        models=model, click_on=click_on, seed=seed,
    )  # fmt: skip


COMMANDS = {
    command.__name__: command
    for command in (proposals, directions, radiation, clicks, unsupervised, latent)
}


def _produce(
    table: str,
    data: Path,
    folder: Path,
    name: str | None,
    split: str | None,
    crop: int | None,
    limit: int | None,
    device: str,
    json: bool,
    *,
    models: list[str] | None = None,
    features: list[str] | None = None,
    methods: list[str] | None = None,
    click_on: Date | None = None,
    seed: int = 0,
) -> None:
    from terradelta.bench.cases import Choice
    from terradelta.bench.produce import produce
    from terradelta.bench.tables import TABLES
    from terradelta.bench.text import aligned, left_out, notes
    from terradelta.data import open_dataset

    chosen = TABLES[table]
    choice = Choice(
        tuple(dict.fromkeys(methods or chosen.methods)),
        tuple(dict.fromkeys(models or ("regions",))),
        tuple(dict.fromkeys(features or ("dinov2-g",))),
        device,
        seed,
        click_on.value if click_on else None,
    )
    with progress() as tell:
        dataset = open_dataset(data, name, split, crop=crop)
        told = produce(chosen, dataset, choice, folder, limit=limit, progress=tell)
    if json:
        print_json(told)
        return
    for line in (*aligned(told), "", *notes(told)):
        out.print(line)
    for line in left_out(told):
        err.print(f"left out: {line}")
    err.print(f"written to {folder}")
