"""A segmenter whose masks are matched in the embedding of another encoder.

AnyChange asks two things of a segmenter, masks and an embedding. They need not come from one network:
SAM cuts out objects better than it tells them apart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from terradelta.features.encoder import FeatureEncoder
from terradelta.sam.segmenter import RGB, BoolArray, Encoded, Proposals, Segmenter


class WithFeatures(Segmenter):
    """``segmenter`` in all but the embedding, which is that of ``features``, and the angles in it."""

    def __init__(self, segmenter: Segmenter, features: FeatureEncoder) -> None:
        self.segmenter, self.features = segmenter, features
        self.name, self.canvas_px = segmenter.name, segmenter.canvas_px
        self.device, self.dtype = features.device, features.dtype
        self.defaults = replace(
            segmenter.defaults, angle=features.angle, object_angle=features.object_angle
        )

    @property
    def pixel_rule(self) -> Literal["union", "mean"]:
        return self.segmenter.pixel_rule

    @property
    def overlap_rule(self) -> Literal["boxes", "layer"]:
        return self.segmenter.overlap_rule

    def networks(self) -> tuple[torch.nn.Module, ...]:
        return *self.segmenter.networks(), *self.features.networks()

    def pair_contexts(self, before: RGB, after: RGB, valid: BoolArray) -> tuple[Any, Any]:
        return self.segmenter.pair_contexts(before, after, valid)

    def store_context(self, context: Any) -> Any:
        return self.segmenter.store_context(context)

    def restore_context(self, stored: Any) -> Any:
        return self.segmenter.restore_context(stored)

    def encode(self, image: RGB, context: Any = None) -> Encoded:
        return self._matched(self.segmenter.encode(image, context), image)

    def encode_both(
        self, before: RGB, after: RGB, contexts: tuple[Any, Any] = (None, None)
    ) -> tuple[Encoded, Encoded]:
        first, second = self.segmenter.encode_both(before, after, contexts)
        return self._matched(first, before), self._matched(second, after)

    def decode(
        self,
        encoded: Encoded,
        points: NDArray[Any],
        *,
        min_iou: float = 0.0,
        min_stability: float = 0.0,
        coarse_stability: bool = False,
    ) -> Proposals:
        return self.segmenter.decode(
            encoded,
            points,
            min_iou=min_iou,
            min_stability=min_stability,
            coarse_stability=coarse_stability,
        )

    def _matched(self, encoded: Encoded, image: NDArray[np.uint8]) -> Encoded:
        return replace(encoded, embedding=self.features.encode(image))
