"""``terradelta models``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json


def models(
    detectors: Annotated[
        bool,
        typer.Option(
            "--detectors", help="List the detectors instead: size and work, beside the published."
        ),
    ] = False,
    json: o.JsonOption = False,
) -> None:
    """List the segmenters, and other features to match in: licence, size of the weights, source."""
    if detectors:
        _detectors(json)
        return
    from terradelta.features import FEATURES
    from terradelta.sam.registry import MODELS, weights_folder

    if json:
        segmenters = {name: {"kind": "segmenter", **asdict(c)} for name, c in MODELS.items()}
        features = {name: {"kind": "features", **asdict(c)} for name, c in FEATURES.items()}
        print_json(segmenters | features)
        return
    _print(
        ("name", "what", "licence", "MB", "angle", "weights"),
        [
            (name, c.summary, c.licence, str(c.megabytes or 0), f"{c.angle:g}", _source(c))
            for name, c in MODELS.items()
        ],
    )
    out.print("\nOther features to match the masks in (--features):")
    _print(
        ("name", "what", "licence", "MB", "weights"),
        [
            (name, c.summary, c.licence, str(c.megabytes), _source(c))
            for name, c in FEATURES.items()
        ],
    )
    out.print(
        f"\nCheckpoints are looked for in {weights_folder()}, then on the hub or in its cache."
    )


def _detectors(json: bool) -> None:
    from terradelta.detectors.profile import profile_all

    profiles = profile_all()
    if json:
        print_json({p.name: {**asdict(p), "excess": p.excess} for p in profiles})
        return
    _print(
        ("name", "what", "M parameters", "published", "G multiply-adds", "published", "side, px"),
        [
            (
                p.name,
                p.card.title,
                f"{p.parameters / 1e6:.3f}",
                _published(p.card),
                f"{p.flops / 1e9:.2f}",
                f"{p.card.flops:g}" if p.card.flops else "-",
                str(p.side),
            )
            for p in profiles
        ],
    )


def _published(card: Any) -> str:
    """Parameters in millions, and how many of them no image passes."""
    if card.parameters is None:
        return "-"
    return f"{card.parameters:g}" + (f", {card.idle:g} idle" if card.idle else "")


def _source(card: Any) -> str:
    return f"{card.repository}@{card.revision[:8]}" if card.revision else "none needed"


def _print(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "what")
    for row in rows:
        table.add_row(*row)
    out.print(table)
