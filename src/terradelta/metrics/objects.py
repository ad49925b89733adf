"""Mask average recall at 1000 proposals, as COCO measures it, class-agnostic.

The instance-level metric of AnyChange's tables (section 4.1): the recall of truth objects by the 1000
best proposals of each image, averaged over the IoU thresholds 0.50, 0.55, ..., 0.95.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage

MAX_PROPOSALS = 1000
RLE = dict[str, Any]


class ObjectRecall:
    """Collects proposals and truth objects image by image; `value` gives their mask AR@1000."""

    def __init__(self) -> None:
        self._images: list[dict[str, Any]] = []
        self._truths: list[dict[str, Any]] = []
        self._proposals: list[dict[str, Any]] = []

    def add(self, proposals: Sequence[RLE], scores: Sequence[float], truths: Sequence[RLE]) -> None:
        """One image: COCO run-length masks with a score each, and the masks of its truth objects."""
        image = len(self._images) + 1
        height, width = next((r["size"] for r in (*truths, *proposals)), (1, 1))
        self._images.append({"id": image, "height": height, "width": width})
        for rle in truths:
            number = len(self._truths) + 1
            self._truths.append(_annotation(rle, image) | {"id": number, "iscrowd": 0})
        for rle, score in zip(proposals, scores, strict=True):
            self._proposals.append(_annotation(rle, image) | {"score": float(score)})

    def value(self) -> float:
        """Mask AR@1000 in [0, 1]; NaN without truth objects."""
        if not self._truths:
            return float("nan")
        if not self._proposals:
            return 0.0
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO()
            truth.dataset = {
                "info": {},
                "images": self._images,
                "annotations": self._truths,
                "categories": [{"id": 1, "name": "change"}],
            }
            truth.createIndex()
            proposals = truth.loadRes([dict(proposal) for proposal in self._proposals])
            evaluation = COCOeval(truth, proposals, "segm")
            evaluation.params.maxDets = [MAX_PROPOSALS]
            evaluation.params.areaRng = [[0, 1e10]]
            evaluation.params.areaRngLbl = ["all"]
            evaluation.evaluate()
            evaluation.accumulate()
        recall = evaluation.eval["recall"]
        return float(recall[recall > -1].mean())


def connected_components(mask: NDArray[np.bool_]) -> list[RLE]:
    """The objects of a binary mask [H, W]: its 8-connected components as COCO run-length masks."""
    from terradelta.sam.masks import Masks

    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    return Masks.from_labels(labels.astype(np.int32) - 1, count).rles()


def _annotation(rle: RLE, image: int) -> dict[str, Any]:
    from pycocotools import mask as coco

    area = float(coco.area(rle))
    return {"image_id": image, "category_id": 1, "segmentation": rle, "area": area}
