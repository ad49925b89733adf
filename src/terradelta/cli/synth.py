"""``terradelta synth``."""

from __future__ import annotations

from typing import Annotated

import typer

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json, progress

app = typer.Typer(no_args_is_help=True, help="Make data with known changes.")


@app.command("scenes")
def scenes(
    folder: o.OutOption,
    pairs: Annotated[int, typer.Option("-n", "--pairs", help="How many.")] = 500,
    size: Annotated[int, typer.Option(help="Side of an image in pixels.")] = 256,
    resolution: Annotated[float, typer.Option(help="Metres a pixel, 0.1 to 5.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Which scenes are made.")] = 0,
    json: o.JsonOption = False,
) -> None:
    """Make pairs to train or to evaluate with: a dataset of the folders A, B and label.

    Each pair has its own place, changes, sun, season, haze, exposure, noise and
    misregistration. Pairs that are there are kept: the same command goes on after an
    interruption, and with a larger -n it adds to them.
    """
    from terradelta.data import open_dataset
    from terradelta.synth import write_made_dataset

    with progress() as report:
        write_made_dataset(
            folder, pairs, size=size, seed=seed, resolution=resolution, progress=report
        )
    samples = open_dataset(folder).samples
    truths = [sample.truth() for sample in samples]
    changed = sum(int(truth.sum()) for truth in truths) / sum(truth.size for truth in truths)
    unchanged = sum(not truth.any() for truth in truths)
    if json:
        print_json(
            {
                "folder": str(folder),
                "pairs": len(samples),
                "changed_fraction": changed,
                "pairs_without_change": unchanged,
            }
        )
        return
    out.print(f"pairs     {len(samples)} of {size} x {size} px in {folder}: A, B, label")
    out.print(f"changed   {changed:.1%} of the area, {unchanged} pairs without change")
