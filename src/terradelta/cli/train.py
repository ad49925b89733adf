"""``terradelta train``."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json, progress

if TYPE_CHECKING:
    from terradelta.train import PairSource


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A TOML file of settings, or a recipe by name: quick, s2looking-changestar-r18, "
            "s2looking-changestar-mitb1, second-changestar-r50, star-changestar-r18, levir-oracle, "
            "s2looking-oracle, xview2-oracle, second-oracle."
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Dataset to learn from: its split train, or the whole if it has no splits. For star: "
            "OpenEarthMap, or a folder with images and labels.",
            metavar="DIR",
        ),
    ],
    folder: o.OutOption,
    val: Annotated[
        Path | None,
        typer.Option(
            help="Dataset to validate with; by default the split val of DATA, if it has one.",
            metavar="DIR",
        ),
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="Another detector than the recipe's.", metavar="NAME")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Another SAM than the recipe's, for an oracle: a name or a path."
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Other number of steps.")] = None,
    device: Annotated[
        str | None,
        typer.Option(
            help="Where the network runs: cpu, cuda or mps; by default the best there is."
        ),
    ] = None,
    json: o.JsonOption = False,
) -> None:
    """Train a detector on labelled pairs; the same command again goes on after an interruption.

    Writes best and last, folders with the weights, and curves.csv. On several GPUs
    or machines: accelerate launch -m terradelta train ... An oracle is trained in
    the same way, and so is a detector on labelled images of single dates (star).
    """
    from terradelta.train import load_settings, open_pairs, open_single_dates, open_split
    from terradelta.train import train as learn
    from terradelta.types import silent

    settings = load_settings(recipe, detector=detector, segmenter=model, steps=steps)
    pairs: PairSource
    if settings.labels == "objects":
        pairs = open_single_dates(data, "train")
        held_out = None if val is None else open_pairs(val, "val")
    else:
        pairs = open_pairs(data, "train", soft=settings.labels == "soft")
        held_out = open_split(data, "val") if val is None else open_pairs(val, "val")
    first = os.environ.get("RANK", "0") == "0"
    with progress() if first else nullcontext(silent) as tell:
        done = learn(settings, pairs, held_out, folder, device=device, progress=tell)
    if not first:
        return
    if json:
        found = {"last": done.last, "best": done.best, "processes": done.processes}
        found |= {"trainable": done.trainable, "parameters": done.parameters}
        print_json({"detector": str(done.detector), **found})
        return
    out.print(f"processes {done.processes}")
    out.print(f"steps     {done.last['step']:,}, loss {done.last['loss']:.4f}")
    if done.best is not None:
        for name, title in (("f1", "F1"), ("precision", "precision"), ("recall", "recall")):
            out.print(f"{title:<9} {done.best[name]:.3f}")
        out.print(f"best      after {done.best['step']:,} steps")
    out.print(f"detector  {done.detector}")
    out.print(f"trained   {done.trainable:,} of {done.parameters:,} parameters")
