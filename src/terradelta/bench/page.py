"""The report of a table: one HTML page with its pictures beside it, which opens without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from terradelta.bench.cases import Case, Row
from terradelta.bench.maps import map_path, panels_of
from terradelta.bench.measure import Measured
from terradelta.bench.pictures import draw_picture, read_picture
from terradelta.bench.runner import Run
from terradelta.bench.summary import to_show
from terradelta.bench.text import grid, left_out, notes
from terradelta.data.dataset import Sample
from terradelta.geo.files import write_png, write_text


@dataclass(frozen=True, slots=True)
class Picture:
    """``file`` lies beside the page; ``caption`` says which pair of the row it shows."""

    file: str
    caption: str


def write_page(
    folder: Path,
    told: Mapping[str, Any],
    cases: Sequence[Case],
    samples: Sequence[Sample],
    run: Run,
) -> Path:
    """Write ``report.html`` into a folder, and into ``pictures`` what it shows; return its path.

    Raises:
        InputError: a pair or the map of an answer cannot be read. OutputError: a file cannot be written.
    """
    by_name = {sample.name: sample for sample in samples}
    shown = [
        (row.title, _pictures(folder, case, row, run.measured[row.key], by_name))
        for case in cases
        for row in case.rows
    ]
    environment = Environment(
        loader=PackageLoader("terradelta.bench", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    headings, cells = grid(told)
    page = environment.get_template("page.html.jinja").render(
        told=told,
        headings=headings,
        cells=cells,
        notes=notes(told),
        left_out=left_out(told),
        shown=[(title, pictures) for title, pictures in shown if pictures],
    )
    path = folder / "report.html"
    write_text(path, page)
    return path


def _pictures(
    folder: Path, case: Case, row: Row, pairs: Sequence[Measured], samples: Mapping[str, Sample]
) -> list[Picture]:
    pictures = []
    for rank, pair in to_show(pairs).items():
        file = f"pictures/{row.key}-{rank}.png"
        panels = panels_of(folder, case.name, pair.name)
        picture = draw_picture(
            case.view(samples[pair.name]).pair(),
            {caption: read_picture(path) for caption, path in panels.items()},
            read_picture(map_path(folder, row.key, pair.name)),
            pair.clicks[0],
        )
        write_png(folder / file, picture)
        pictures.append(Picture(file, f"{rank}: {pair.name}, {_figures(pair)}"))
    return pictures


def _figures(pair: Measured) -> str:
    """Of the trial that the picture shows, and of all if there are more."""
    shown = _percent(pair.trials[0].pixels.f1)
    if len(pair.trials) == 1:
        return f"F1 {shown}"
    return f"F1 {shown}, over all {len(pair.trials)} draws {_percent(pair.pooled.pixels.f1)}"


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f}"
