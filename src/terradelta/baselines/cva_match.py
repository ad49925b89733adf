"""SAM + CVA Match: change by pixels of the embedding that vote (AnyChange, section 4.1, appendix C.1).

A pixel is changed if the norm of the difference of the upsampled embeddings lies above Otsu's
threshold, as in "DINOv2 + CVA"; a mask of either date is a change if more than half of its pixels are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.baselines.answer import BaselineChanges, otsu
from terradelta.baselines.feature_cva import change_magnitude
from terradelta.baselines.proposer import Proposer
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.sam.masks import Masks
from terradelta.sam.segmenter import Segmenter
from terradelta.types import Progress, silent

MAJORITY = 0.5


class SamCvaMatch:
    """Masks most of whose pixels have changed.

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
        """The score of an object is the share of its pixels that changed.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        pair = load_pair(before, after)
        encoded, proposals = self._proposer.propose(pair, progress)
        magnitude = change_magnitude(*(date.embedding for date in encoded))
        changed = (magnitude > otsu(magnitude[pair.valid])) & pair.valid
        share = np.concatenate([shares(date.masks, changed) for date in proposals])
        answer = self._proposer.answer(pair, proposals, share, MAJORITY, self.describe())
        progress("matching", 3, 3)
        return answer

    def describe(self) -> dict[str, Any]:
        return {"model": "sam-cva-match", **self._proposer.describe()}


def shares(masks: Masks, changed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 [N] in [0, 1]: the part of each mask where a bool [H, W] image is True."""
    votes = masks.sums(changed.astype(np.float64))
    return (votes / np.maximum(masks.areas, 1)).astype(np.float32)
