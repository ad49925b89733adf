"""Finding changes with a trained oracle: AnyChange with the score network in the place of the angle.

"The inference pipeline exactly follows AnyChange, where it first generates object masks and computes
mask embeddings, and the change confidence score is obtained from the trained score network"
(appendix C.1). The embedding of a mask is the mean of what the score network makes of it: of two dates
the network then tells the score.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from transformers import SamModel

from terradelta.errors import UsageError
from terradelta.oracle.score import ENLARGED, ScoreNetwork
from terradelta.sam.sam import SamSegmenter
from terradelta.sam.segmenter import RGB, Axis, Embedding, Encoded
from terradelta.zeroshot.anychange import AnyChange

EVEN = 90.0
"""Degrees: the angle of a score of 0, where change is as likely as not."""

OTHER_EMBEDDINGS = ("features", "compat")
"""Settings of `AnyChange` that would put another embedding in the place of the one that was trained."""


class Oracle(AnyChange):
    """Finds changes between two images of the same place; made by `load_oracle`.

    All of `AnyChange`, on images and on scenes, with other numbers: ``angle`` and ``score`` of its
    answers are those of the score network. The score is 2 p - 1 for the chance p of change, the angle
    the one of which it is the negative cosine. By default a change is what is likelier than not, an
    angle above 90 degrees. What a click asks for is compared in the features of the score network.
    """

    segmenter: ScoredSam

    def __init__(
        self,
        sam: SamModel,
        score: ScoreNetwork,
        *,
        name: str,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        **settings: Any,
    ) -> None:
        """A SAM with the adapters in its weights; the rest is as for `load_oracle`."""
        refused = sorted(settings.keys() & set(OTHER_EMBEDDINGS))
        if refused:
            raise UsageError(f"an oracle scores its own embedding: leave out {refused[0]}")
        segmenter = ScoredSam(sam, score, name=name, device=device, dtype=dtype)
        super().__init__(segmenter, **settings)
        self.angle, self.measure = EVEN, segmenter.score.angles

    def __repr__(self) -> str:
        return f"Oracle({self.segmenter.name!r}, preset={self.preset!r}, angle={self.angle:g})"

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "oracle": True}


class ScoredSam(SamSegmenter):
    """A SAM whose embedding is what the score network compares, at four times the resolution."""

    def __init__(
        self,
        network: SamModel,
        score: ScoreNetwork,
        *,
        name: str,
        device: torch.device | str,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(network, name=name, device=device, dtype=dtype)
        self.score = score.to(self.device).eval()

    def networks(self) -> tuple[torch.nn.Module, ...]:
        return *super().networks(), self.score

    def _encoded(self, image: RGB, modulated: torch.Tensor, resized: tuple[int, int]) -> Encoded:
        encoded = super()._encoded(image, modulated, resized)
        features = self.score.features(encoded.embedding.z[None])[0]
        rows, columns = (self._axis(*sizes) for sizes in zip(image.shape[:2], resized, strict=True))
        return replace(encoded, embedding=Embedding(features, rows, columns))

    def _axis(self, size: int, resized: int) -> Axis:
        """Only cells that hold image are read, as of SAM's own embedding."""
        cells = resized * ENLARGED / self.patch
        return Axis.half_pixel(size, cells / size, math.ceil(cells))
