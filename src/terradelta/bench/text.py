"""A table for people: as Markdown, and as plain lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = ("method", "backbone", "condition")


def grid(told: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The headings and the cells of a `record`, in percent.

    Names that no line has make no column. The paper's lines follow the measured ones, and are marked.
    """
    lines = [
        (row, str(row["pairs"]), "measured" if row["pairs"] else "left out") for row in told["rows"]
    ]
    lines += [(row, "", "paper") for row in told["paper"]]
    names = [name for name in NAMES if any(row[name] for row, _, _ in lines)]
    headings = [*names, *told["metrics"].values(), "pairs", "source"]
    cells = [
        [
            *(row[name] for name in names),
            *(cell(row["metrics"].get(metric)) for metric in told["metrics"]),
            pairs,
            source,
        ]
        for row, pairs, source in lines
    ]
    return headings, cells


def cell(estimate: Mapping[str, Any] | None) -> str:
    """As "35.2 [30.1, 41.0]", in percent; a dash where nothing is defined."""
    if estimate is None or estimate["value"] is None:
        return "-"
    low, high = estimate["interval_95"]
    value = f"{100 * estimate['value']:.1f}"
    return value if low is None else f"{value} [{100 * low:.1f}, {100 * high:.1f}]"


def notes(told: Mapping[str, Any]) -> list[str]:
    """What must be known to read the table, a sentence or two each."""
    dataset, naive = told["dataset"], told["everything_is_change"]
    some = dataset["pairs"] < dataset["pairs_in_all"]
    of_all = f" of {dataset['pairs_in_all']}, the first by name" if some else ""
    split = "" if dataset["split"] == "all" else f", split {dataset['split']}"
    lines = [
        f"Data: {dataset['folder']} ({dataset['name']}{split}), {dataset['pairs']} pairs{of_all}.",
        told["protocol"],
    ]
    if naive["f1"] is not None:
        lines.append(
            f"What is sought covers {100 * naive['share_of_pixels']:.1f} % of the pixels: an answer of "
            f"everything would have an F1 of {100 * naive['f1']:.1f}."
        )
    if told["paper"]:
        lines.append(
            "Lines of the paper are on its whole test split, with its own code and weights."
        )
    return lines


def left_out(told: Mapping[str, Any]) -> list[str]:
    """A line for every case, and for every pair of one, that could not be run."""
    return [
        f"{left['case']}{', ' + left['pair'] if left['pair'] else ''}: {left['reason']}"
        for left in told["left_out"]
    ]


def markdown(told: Mapping[str, Any]) -> str:
    """The table, what must be known to read it, and what was left out."""
    headings, cells = grid(told)
    rows = [headings, ["---"] * len(headings), *cells]
    drawn = [f"| {' | '.join(map(_escaped, row))} |" for row in rows]
    lines = [f"# {told['title']} ({told['source']})", "", *drawn, ""]
    lines += [f"{note}\n" for note in notes(told)]
    lines += [f"- {_escaped(name)}: {_escaped(title)}" for name, title in told["methods"].items()]
    if told["left_out"]:
        lines += ["\nLeft out:\n", *(f"- {_escaped(line)}" for line in left_out(told)), ""]
    return "\n".join(lines)


def aligned(told: Mapping[str, Any]) -> list[str]:
    """The table as lines of equal columns, names to the left and numbers to the right."""
    headings, cells = grid(told)
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if heading in NAMES else text.rjust(width)
            for text, width, heading in zip(row, widths, headings, strict=True)
        ).rstrip()
        for row in (headings, *cells)
    ]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
