"""SAM + Mask Match: change by the shapes of masks alone (AnyChange, section 4.1 and appendix C.1).

An object whose mask has a match in the other date, a mask with an IoU above 0.5, is still there. Any
other mask of either date is a change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from terradelta.baselines.answer import BaselineChanges
from terradelta.baselines.proposer import Proposer
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.sam.masks import Masks
from terradelta.sam.segmenter import Segmenter
from terradelta.types import Progress, silent

THRESHOLD = float(np.nextafter(np.float32(0.5), np.float32(0)))
"""Of 1 - IoU. Change lies above it, and an IoU of exactly 0.5 is no match."""
MASKS_AT_ONCE = 256


class SamMaskMatch:
    """Masks without a mask like them in the other date.

    Args:
        model: the segmenter: a name of `terradelta.MODELS`, the path of SAM weights, or a loaded one.
        settings: those of `Proposer`.

    Raises:
        UsageError: a setting is out of range. ModelError: the weights cannot be had.
    """

    def __init__(self, model: str | Segmenter = "regions", **settings: Any) -> None:
        self._proposer = Proposer(model, **settings)

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """The score of an object is 1 minus its largest IoU with a mask of the other date.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        pair = load_pair(before, after)
        _, proposals = self._proposer.propose(pair, progress)
        alike = np.concatenate(best_ious(*(date.masks for date in proposals)))
        score = (1 - alike).astype(np.float32)
        answer = self._proposer.answer(pair, proposals, score, THRESHOLD, self.describe())
        progress("matching", 3, 3)
        return answer

    def describe(self) -> dict[str, Any]:
        return {"model": "sam-mask-match", **self._proposer.describe()}


def best_ious(masks: Masks, others: Masks) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64 [N] and [M]: the largest IoU of each mask with any of the other set; 0 if none."""
    rows, columns = np.zeros(len(masks)), np.zeros(len(others))
    if not len(masks) or not len(others):
        return rows, columns
    mine, theirs = masks.rles(), others.rles()
    for first in range(0, len(mine), MASKS_AT_ONCE):
        part = slice(first, first + MASKS_AT_ONCE)
        iou = coco.iou(mine[part], theirs, [0] * len(theirs))
        rows[part] = iou.max(1)
        np.maximum(columns, iou.max(0), out=columns)
    return rows, columns
