"""Finding changes with a trained oracle: AnyChange with the score network in the place of the angle.

"The inference pipeline exactly follows AnyChange, where it first generates object masks and computes
mask embeddings, and the change confidence score is obtained from the trained score network"
(appendix C.1). The embedding of a mask is the mean of what the score network makes of it: of two dates
the network then tells the score.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import torch
from transformers import SamModel

from terradelta.errors import UsageError
from terradelta.geo.pair import ImageLike, Pair, load_pair
from terradelta.oracle.score import ENLARGED, ScoreNetwork
from terradelta.sam.proposals import box_nms, propose
from terradelta.sam.sam import SamSegmenter
from terradelta.sam.segmenter import RGB, Axis, Embedding, Encoded
from terradelta.types import Progress, silent
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.candidates import Examined, Search, encode_view, match, pixel_angle_of
from terradelta.zeroshot.changes import Changes
from terradelta.zeroshot.session import Session
from terradelta.zeroshot.thresholds import check_choice
from terradelta.zeroshot.views import views_of

EVEN = 90.0
"""Degrees: the angle of a score of 0, where change is as likely as not."""

PROPOSALS = (
    "preset",
    "points_per_side",
    "pred_iou",
    "stability",
    "nms",
    "min_region_area",
    "approximate",
)
"""The settings of `AnyChange` that an oracle has as well."""


class Oracle:
    """Finds changes between two images of the same place; made by `load_oracle`.

    ``angle`` and ``score`` of its answers are those of the score network: the score is 2 p - 1 for the
    chance p of change, the angle the one of which it is the negative cosine. By default a change is
    what is likelier than not, an angle above 90 degrees.
    """

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
        unknown = sorted(settings.keys() - set(PROPOSALS))
        if unknown:
            raise UsageError(
                f"an oracle has no setting {unknown[0]!r}: it has {', '.join(PROPOSALS)}"
            )
        self.segmenter = ScoredSam(sam, score, name=name, device=device, dtype=dtype)
        self._like = AnyChange(self.segmenter, **settings)

    def __repr__(self) -> str:
        return f"Oracle({self.segmenter.name!r})"

    def detect(
        self,
        before: ImageLike,
        after: ImageLike,
        *,
        angle: float | None = None,
        threshold: str | None = None,
        top_k: int | None = None,
        progress: Progress = silent,
    ) -> Changes:
        """All changes between two images; arguments, answer and errors as of `AnyChange.detect`."""
        check_choice(angle, threshold, top_k)
        pair = load_pair(before, after)
        found = self._search(pair, progress)
        session = Session(self.segmenter, pair, found, EVEN, self.describe())
        return session.detect(angle=angle, threshold=threshold, top_k=top_k)

    def describe(self) -> dict[str, Any]:
        """The settings that decide the answer."""
        return {**self._like.describe(), "oracle": True, "default_angle_deg": EVEN}

    def _search(self, pair: Pair, progress: Progress) -> Search:
        """As `terradelta.zeroshot.candidates.search`, with other angles."""
        began = time.perf_counter()
        (view,) = views_of(pair.shape, 1, enlarge_windows=True)
        progress("encoding", 0, 2)
        encoded = encode_view(self.segmenter, pair, view)
        progress("matching", 1, 2)
        settings = self._like.settings
        proposals = [propose(self.segmenter, date, settings, pair.valid) for date in encoded]
        matched = match(proposals, encoded)
        scored = replace(matched, angle=self.segmenter.score.angles(matched.before, matched.after))
        ranked = scored[box_nms(scored.masks.boxes, scored.angle, settings.nms)]
        progress("matching", 2, 2)
        seconds = {"all": time.perf_counter() - began}
        pixel_angle = pixel_angle_of(self.segmenter, ranked)
        return Search([Examined(view, encoded)], ranked, pixel_angle, seconds)


class ScoredSam(SamSegmenter):
    """A SAM whose embedding is what the score network compares, at four times the resolution."""

    defaults = replace(SamSegmenter.defaults, angle=EVEN)

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

    def _encoded(self, image: RGB, modulated: torch.Tensor, resized: tuple[int, int]) -> Encoded:
        encoded = super()._encoded(image, modulated, resized)
        features = self.score.features(encoded.embedding.z[None])[0]
        rows, columns = (self._axis(*sizes) for sizes in zip(image.shape[:2], resized, strict=True))
        return replace(encoded, embedding=Embedding(features, rows, columns))

    def _axis(self, size: int, resized: int) -> Axis:
        """Only cells that hold image are read, as of SAM's own embedding."""
        cells = resized * ENLARGED / self.patch
        return Axis.half_pixel(size, cells / size, math.ceil(cells))
