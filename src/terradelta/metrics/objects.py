"""The objects of a mask, and how the objects of an answer overlap them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy import ndimage

from terradelta.sam.masks import Masks

RLE = dict[str, Any]

EIGHT_CONNECTED = np.ones((3, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """The D proposals of one image, the best score first, beside its G truth objects.

    ``iou`` float64 [D, G]; ``truth_areas`` int64 [G], pixels.
    """

    iou: NDArray[np.float64]
    truth_areas: NDArray[np.int64]

    @classmethod
    def of(
        cls, proposals: Sequence[RLE], scores: Iterable[float], truths: Sequence[RLE]
    ) -> Overlaps:
        """Of COCO run-length masks, the proposals in any order with a score each."""
        ranked = np.fromiter(scores, float)
        if len(ranked) != len(proposals):
            raise ValueError(f"{len(proposals)} proposals have {len(ranked)} scores")
        sizes = {tuple(rle["size"]) for rle in (*proposals, *truths)}
        if len(sizes) > 1:
            raise ValueError(f"masks of different images: {sorted(sizes)}")
        order = np.argsort(-ranked, kind="stable")
        iou = coco.iou([proposals[n] for n in order], list(truths), [0] * len(truths))
        return cls(np.reshape(iou, (len(proposals), len(truths))), areas(truths))

    def hits(self, threshold: float) -> NDArray[np.bool_]:
        """bool [D]: which proposals find an object, by the greedy rule of COCO.

        In the order of their scores each takes, of the objects that are left, the one that it overlaps
        most, if the IoU reaches the threshold; of equals the last, as pycocotools does.
        """
        found = np.zeros(len(self.iou), bool)
        left = np.ones(self.iou.shape[1], bool)
        for n in np.flatnonzero((self.iou >= threshold).any(1)):
            open_iou = np.where(left, self.iou[n], 0)
            best = open_iou.size - 1 - int(np.argmax(open_iou[::-1]))
            if open_iou[best] >= threshold:
                found[n], left[best] = True, False
        return found

    def among(self, truths: NDArray[np.bool_]) -> Overlaps:
        """With those objects only, bool [G]."""
        return Overlaps(self.iou[:, truths], self.truth_areas[truths])


def connected_components(mask: NDArray[np.bool_]) -> list[RLE]:
    """The objects of a binary mask [H, W]: its 8-connected components as COCO run-length masks."""
    labels, count = ndimage.label(mask, structure=EIGHT_CONNECTED)
    return Masks.from_labels(labels.astype(np.int32) - 1, count).rles()


def areas(rles: Sequence[RLE]) -> NDArray[np.int64]:
    """int64 [N], pixels."""
    # One by one: pycocotools cannot count more than 255 masks at a time.
    return np.array([coco.area(rle) for rle in rles], np.int64)
