"""Curation: which pairs, and which pixels of their labels, are good enough to learn from.

Pseudo labels are wrong at times, and some ways of being wrong can be told without the truth: a pair that
changed all over was not registered or is under clouds; a lone pixel is an edge that moved; pairs that are
in a collection twice count twice. Pixels that are left out become unknown, which training ignores; they
are never taken as unchanged.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from terradelta.engine.labels import Label
from terradelta.errors import UsageError
from terradelta.geo.pair import Pair
from terradelta.sam.segmenter import BoolArray

NEIGHBOURS_PX, ALIKE = 5, 0.99
"""What the command line takes where a rule is asked for."""
THUMBNAIL_PX = 16
FingerPrint = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Curation:
    """What is left out. By default nothing is.

    Args:
        least_changed, most_changed: pairs with a smaller or larger share of change among their valid
            pixels are dropped.
        neighbours: side in px of a window, odd: a pixel is kept if more than half of the known pixels
            in the window around it have its label. 1 keeps all.
        alike: pairs are dropped that repeat an earlier one: both of whose dates correlate with those
            of the other by at least this, in thumbnails; see `fingerprint`. None keeps all.

    Raises:
        UsageError: a value out of range.
    """

    least_changed: float = 0.0
    most_changed: float = 1.0
    neighbours: int = 1
    alike: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.least_changed <= self.most_changed <= 1:
            raise UsageError(
                f"least_changed {self.least_changed} and most_changed {self.most_changed} must be "
                f"shares from 0 to 1, the smaller first"
            )
        if self.neighbours < 1 or self.neighbours % 2 == 0:
            raise UsageError(
                f"neighbours is {self.neighbours}: give the odd side of a window in px"
            )
        if self.alike is not None and not 0 < self.alike <= 1:
            raise UsageError(f"alike is {self.alike}: give a correlation above 0 and at most 1")

    def describe(self) -> dict[str, Any]:
        return asdict(self)


def too_much_or_little(label: Label, curation: Curation) -> str | None:
    """Why a label is dropped, None if it is kept."""
    share = label.changed_fraction
    if np.isnan(share) or not (label.known & label.pair.valid).any():
        return "nothing known"
    if share < curation.least_changed:
        return "too little change"
    return "too much change" if share > curation.most_changed else None


def with_neighbours(label: Label, curation: Curation) -> Label:
    """The label without the pixels on which their neighbours do not agree; how many is a fact."""
    known = label.known & label.pair.valid
    kept = known & agreeing(label.changed, known, curation.neighbours)
    ignored = {**label.facts.get("ignored_px", {})}
    if curation.neighbours > 1:
        ignored["neighbours"] = ignored.get("neighbours", 0) + int((known & ~kept).sum())
    return replace(label, known=kept, facts={**label.facts, "ignored_px": ignored})


def agreeing(changed: BoolArray, known: BoolArray, window: int) -> BoolArray:
    """Which pixels of bool [H, W] have the label of more than half of the known ones around them.

    The window of ``window`` x ``window`` px is cut at the edges; a pixel is in its own window.
    """
    voters = _sums(known, window)
    for_change = _sums(changed & known, window)
    return np.asarray(2 * np.where(changed, for_change, voters - for_change) > voters)


def fingerprint(pair: Pair) -> FingerPrint:
    """float32 [2, 256]: both dates in 16 x 16 grey px, each less its mean and of length 1.

    The product of two is their correlation, which light and contrast do not change. An image of one
    colour is like any other such, and like nothing else.
    """
    return np.stack([_thumbnail(image) for image in (pair.before, pair.after)])


def repeated(fingerprints: NDArray[np.float32], alike: float) -> NDArray[np.int64]:
    """Of each of float32 [N, 2, 256] which earlier one it repeats, int64 [N]; -1 if none.

    One that is itself a repetition is not compared with.
    """
    of = np.full(len(fingerprints), -1, np.int64)
    kept = np.zeros(len(fingerprints), bool)
    for number, (before, after) in enumerate(fingerprints):
        earlier = fingerprints[:number]
        likeness = np.minimum(earlier[:, 0] @ before, earlier[:, 1] @ after)
        likeness = np.where(kept[:number], likeness, np.float32(-1))
        if number and likeness.max() >= np.float32(alike):
            of[number] = int(likeness.argmax())
        else:
            kept[number] = True
    return of


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = Image.fromarray(image.mean(2, dtype=np.float32))
    small = grey.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    values = np.asarray(small, np.float64).ravel()
    values = values - values.mean()
    length = np.linalg.norm(values)
    # Of one colour: what is left after the mean is rounding.
    if length < 1e-3 * len(values):
        values, length = np.ones_like(values), np.sqrt(len(values))
    return (values / length).astype(np.float32)


def _sums(mask: BoolArray, window: int) -> NDArray[np.int64]:
    ones = np.ones(window, np.int64)
    rows = ndimage.convolve1d(mask.astype(np.int64), ones, axis=0, mode="constant")
    return np.asarray(ndimage.convolve1d(rows, ones, axis=1, mode="constant"))
