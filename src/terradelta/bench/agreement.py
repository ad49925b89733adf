"""Do both sides give the same changes?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from terradelta.bench.peers import Answer

MATCHED_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Agreement:
    """Changes of both sides from the same points.

    ``mean_best_iou``: of each of the peer's masks with the best of ours; ``matched``: how many of these
    IoUs are at least 0.5, and ``largest_score_difference`` is over those. None where there are none.
    """

    points: int
    our_masks: int
    peer_masks: int
    matched: int
    mean_best_iou: float | None
    largest_score_difference: float | None


def compare(ours: Answer, theirs: Answer, points: int) -> Agreement:
    """Each of the peer's masks with the best of ours."""
    from pycocotools import mask as coco

    count = len(theirs.masks)
    best, partner = np.zeros(count), np.zeros(count, np.int64)
    if count and len(ours.masks):
        crowd = [0] * len(ours.masks)
        iou = np.asarray(coco.iou(theirs.masks.rles(), ours.masks.rles(), crowd))
        best, partner = iou.max(1), iou.argmax(1)
    matched = best >= MATCHED_IOU
    apart = np.abs(ours.score[partner[matched]] - theirs.score[matched])
    return Agreement(
        points=points,
        our_masks=len(ours.masks),
        peer_masks=count,
        matched=int(matched.sum()),
        mean_best_iou=float(best.mean()) if count else None,
        largest_score_difference=float(apart.max()) if matched.any() else None,
    )
