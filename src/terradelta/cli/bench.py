"""``terradelta bench``: speed; the papers' tables are in `bench_tables`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from terradelta.cli import bench_tables
from terradelta.cli import options as o
from terradelta.cli.console import err, out, print_json, progress

app = typer.Typer(help="Speed beside others, and the papers' tables.", no_args_is_help=True)
for _name, _command in bench_tables.COMMANDS.items():
    app.command(_name)(_command)


class Peer(StrEnum):
    """Whom it is measured against."""

    torchange = "torchange"
    transformers = "transformers"


class Size(StrEnum):
    """Encoders of random weights; see `terradelta.bench.random_weights.SIZES`."""

    vit_b = "vit-b"
    vit_l = "vit-l"
    vit_h = "vit-h"
    tiny = "tiny"


@app.callback()
def bench() -> None:
    """Speed beside others, and the papers' tables."""


@app.command()
def speed(
    before: Annotated[
        Path | None, typer.Argument(help="Image of the earlier date; a made scene by default.")
    ] = None,
    after: Annotated[Path | None, typer.Argument(help="Image of the later date.")] = None,
    against: Annotated[Peer, typer.Option(help="The other side.")] = Peer.torchange,
    points: Annotated[
        int, typer.Option(help="n of the n x n grid of points, 1 to 128; ours runs all of it.")
    ] = 32,
    device: o.DeviceOption = "cpu",
    dtype: o.DtypeOption = o.Dtype.float32,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="A SAM of `terradelta models` or a path; else random weights."
        ),
    ] = None,
    size: Annotated[Size, typer.Option(help="Size of the random weights.")] = Size.vit_b,
    repeats: Annotated[int, typer.Option(help="Runs of each side, taking turns.")] = 3,
    peer_batches: Annotated[
        int | None,
        typer.Option(
            help="Batches of 64 points per date that the peer really runs, the rest is scaled; "
            "0 runs all. By default 2 on the CPU and all on a GPU."
        ),
    ] = None,
    folder: o.OutOption = Path("benchmarks/results"),
    json: o.JsonOption = False,
) -> None:
    """Measure both sides on the same images, weights and settings, taking turns in one process."""
    from terradelta.bench.settings import Protocol
    from terradelta.errors import UsageError
    from terradelta.geo.files import writable_folder, write_json

    if (before is None) != (after is None):
        raise UsageError("give both images, BEFORE and AFTER, or none")
    images = None if before is None or after is None else (before, after)
    protocol = Protocol(
        against.value, points, device, dtype.value, model, size.value, repeats, peer_batches
    )
    writable_folder(folder)
    from terradelta.bench import report, speed

    with progress() as tell:
        found = speed.measure(protocol, images, tell)
    told = report.record(found, images)
    path = folder / report.file_name(protocol)
    write_json(path, told)
    if json:
        print_json(told)
        return
    out.print(report.table(told))
    for line in report.lines(told):
        out.print(line)
    err.print(f"written to {path}")
