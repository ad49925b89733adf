"""What a table runs: a case is loaded once and answers one or more rows of the table, pair by pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.data.dataset import Sample
from terradelta.types import Answer, Progress
from terradelta.zeroshot.query import Click

RGB = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table. ``key``, of letters, digits and ``-_.``, names it in files."""

    key: str
    method: str
    backbone: str = ""
    condition: str = ""

    @property
    def title(self) -> str:
        return ", ".join(part for part in (self.method, self.backbone, self.condition) if part)


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One answer about a pair [H, W], and the truth, bool [H, W], that it is held against.

    ``answer`` bool [H, W]; ``rles`` the same as N objects, ``score`` float32 [N]; the ``clicks`` that
    were given.
    """

    answer: BoolArray
    truth: BoolArray
    rles: Sequence[dict[str, Any]] = ()
    score: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    clicks: Sequence[Click] = ()

    @classmethod
    def of(cls, answer: Answer, truth: BoolArray, clicks: Sequence[Click] = ()) -> Trial:
        return cls(answer.to_mask(), truth, answer.rles, answer.score, clicks)


@dataclass(frozen=True, slots=True)
class Answers:
    """The trials of a pair by the key of their row; most rows have one, which is what pictures show.

    ``panels`` are uint8 [H, W, 3] to be shown beside both dates, by caption.
    """

    trials: Mapping[str, Sequence[Trial]]
    panels: Mapping[str, RGB] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A case with its models in memory; ``settings`` are all that decides its answers, as JSON values.

    ``learn`` is called with all samples before any is asked about, if the model learns from them.
    """

    settings: dict[str, Any]
    ask: Callable[[Sample], Answers]
    learn: Callable[[Sequence[Sample], Progress], None] | None = None


def as_it_is(sample: Sample) -> Sample:
    """The view of a case that is shown the dataset itself."""
    return sample


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked of a table. ``segmenters`` and ``features`` are the backbones of the methods that
    need one; ``clicked_date`` is where the objects to be clicked are, None if the dataset tells."""

    methods: tuple[str, ...]
    segmenters: tuple[str, ...] = ("regions",)
    features: tuple[str, ...] = ("dinov2-g",)
    device: str = "cpu"
    seed: int = 0
    clicked_date: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """``load`` raises TerradeltaError if it cannot be had; ``view`` is a sample as the case sees it."""

    name: str
    rows: tuple[Row, ...]
    load: Callable[[], Loaded]
    view: Callable[[Sample], Sample] = as_it_is
