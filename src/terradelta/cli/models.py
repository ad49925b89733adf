"""``terradelta models``."""

from __future__ import annotations

from dataclasses import asdict

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json


def models(json: o.JsonOption = False) -> None:
    """List the segmenters: licence, size of the weights, and where they come from."""
    from rich.table import Table

    from terradelta.sam.registry import MODELS, weights_folder

    if json:
        print_json({name: asdict(card) for name, card in MODELS.items()})
        return
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for heading in ("name", "what", "licence", "MB", "angle", "weights"):
        table.add_column(heading, no_wrap=heading != "what")
    for name, card in MODELS.items():
        source = f"{card.repository}@{card.revision[:8]}" if card.revision else "none needed"
        size, angle = str(card.megabytes or 0), f"{card.angle:g}"
        table.add_row(name, card.summary, card.licence, size, angle, source)
    out.print(table)
    out.print(
        f"\nCheckpoints are looked for in {weights_folder()}, then on the hub or in its cache."
    )
