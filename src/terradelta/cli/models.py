"""``terradelta models``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json


def models(json: o.JsonOption = False) -> None:
    """List the segmenters, and other features to match in: licence, size of the weights, source."""
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
