"""``terradelta data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json, progress

app = typer.Typer(help="Datasets: what there is, and whether yours is whole.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Datasets: what there is, and whether yours is whole."""


@app.command("list")
def list_datasets(json: o.JsonOption = False) -> None:
    """List the datasets that can be read: how much, of what size, terms, where to get them."""
    from dataclasses import asdict

    from rich.table import Table

    from terradelta.data import DATASETS

    if json:
        print_json({name: asdict(card) for name, card in DATASETS.items()})
        return
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for heading in ("name", "samples", "px", "labels", "terms"):
        table.add_column(heading, no_wrap=heading in ("name", "samples", "px"))
    for name, card in DATASETS.items():
        counts = "\n".join(f"{split} {p.count:,}" for split, p in card.splits.items()) or "any"
        sizes = {f"{p.size[1]} x {p.size[0]}" if p.size else "differ" for p in card.splits.values()}
        table.add_row(name, counts, "\n".join(sorted(sizes)) or "any", card.labels, card.terms)
    out.print(table)
    out.print("\nwhere to get them")
    for name, card in DATASETS.items():
        if card.splits:
            out.print(f"  {name:<14}{card.url}")


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="Dataset: a name of `terradelta data list`.")],
    folder: Annotated[Path, typer.Argument(help="Folder in which it lies.", metavar="DIR")],
    json: o.JsonOption = False,
) -> None:
    """Look through every file of a dataset, and name each problem in one line.

    Counts against what was published, missing partners, files that are cut off, sizes, values of
    labels. Exit code 0: all is well. 1: there are problems.
    """
    from terradelta.data import verify as look_through

    with progress() as tell:
        report = look_through(name, folder, progress=tell)
    if json:
        print_json(report.as_dict())
    else:
        for problem in report.problems:
            out.print(str(problem))
        counts = ", ".join(f"{split} {count:,}" for split, count in report.found.items())
        verdict = "all is well" if report.ok else f"{len(report.problems):,} problems"
        out.print(f"{report.dataset} in {report.root}: {counts}; {report.files:,} files; {verdict}")
    if not report.ok:
        raise typer.Exit(1)
