"""``terradelta``: one command a file."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from terradelta import __version__
from terradelta.cli import (
    bench,
    check,
    data,
    demo,
    detect,
    evaluate,
    label,
    models,
    query,
    rounds,
    search,
    synth,
    train,
)
from terradelta.cli.console import one_line_errors


class _Commands(TyperGroup):
    """Turns errors into one line before typer sees them: it would end an interrupted run mutely."""

    def invoke(self, ctx: Any) -> Any:
        with one_line_errors():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    name="terradelta",
    help="Find what changed between two images of the same place.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("detect")(detect.detect)
app.command("query")(query.query)
app.command("check")(check.check)
app.command("evaluate")(evaluate.evaluate)
app.command("label")(label.label)
app.command("train")(train.train)
app.command("rounds")(rounds.rounds)
app.command("search")(search.search)
app.command("models")(models.models)
app.add_typer(bench.app, name="bench")
app.add_typer(data.app, name="data")
app.add_typer(synth.app, name="synth")


def _version(show: bool) -> None:
    if show:
        typer.echo(f"terradelta {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Find what changed between two images of the same place."""


def main() -> None:
    """Entry point of the ``terradelta`` script."""
    app(prog_name="terradelta")
