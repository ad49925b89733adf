"""What is known of a dataset before it is on the disk: source, terms, and what was published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Published:
    """``count`` pairs (or images) of a split; ``size`` (height, width) in px, None if they differ."""

    count: int
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """``labels`` says what is labelled, ``layout`` where the files lie, as they are published.

    ``splits`` are the official ones; empty where nothing is published. ``crops`` are the sides in px of
    the squares that a paper cuts, by paper. ``classes`` names the values of class maps.
    """

    name: str
    title: str
    paper: str
    url: str
    terms: str
    labels: str
    layout: str
    splits: Mapping[str, Published]
    crops: Mapping[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()

    def source(self) -> str:
        """Where to get it and under which terms, as the end of a sentence."""
        return f"get it from {self.url} (terms: {self.terms})"


def alike(height: int, width: int, **counts: int) -> dict[str, Published]:
    """Splits by name whose images are all of one size."""
    return {split: Published(count, (height, width)) for split, count in counts.items()}
