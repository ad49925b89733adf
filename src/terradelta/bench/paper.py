"""What the papers print: the figures of AnyChange's tables 1 to 4 and 6, in ``paper.csv``, in percent.

Zheng, Zhong, Zhang and Ermon, "Segment Any Change", NeurIPS 2024. They are on the whole test split of
each dataset. Figures are as printed, also where F1 is not that of precision and recall: SAM+Mask Match
with ViT-B on xView2 (table 1), and one click on S2Looking (table 4).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

from terradelta.bench.cases import Row

METRICS = ("f1", "precision", "recall", "ar@1000")


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A line of a published table; ``metrics`` are shares, those that are not given are absent."""

    row: Row
    metrics: dict[str, float]


def paper_rows(table: str, dataset: str) -> list[PaperRow]:
    """The lines of a published table for a dataset; none if the paper has none."""
    text = files("terradelta.bench").joinpath("paper.csv").read_text(encoding="utf-8")
    return [
        PaperRow(
            Row(f"paper-{number}", line["method"], line["backbone"], line["condition"]),
            {name: float(line[name]) / 100 for name in METRICS if line[name]},
        )
        for number, line in enumerate(csv.DictReader(text.splitlines()))
        if (line["table"], line["dataset"]) == (table, dataset)
    ]
