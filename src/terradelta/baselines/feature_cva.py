"""DINOv2 + CVA: change vector analysis on features (AnyChange, section 4.1 and appendix C.1).

The embedding of each date is upsampled bilinearly to the size of the image; the change intensity is
the L2 norm of the difference, its threshold Otsu's. The paper does not say which embedding of DINOv2:
it is the demodulated one, as for "SAM + CVA Match", which the paper builds the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from terradelta.baselines.answer import BaselineChanges
from terradelta.features import FeatureEncoder, load_features
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.sam.masks import FloatArray
from terradelta.sam.segmenter import Axis, Embedding
from terradelta.types import Progress, silent

NUMBERS_PER_BLOCK = 1 << 23


class FeatureCva:
    """Pixels whose features differ by more than Otsu's threshold; see the module.

    Args:
        features: a name of `terradelta.features.FEATURES` (the paper has the largest), the path of
            DINOv2 weights, or a loaded encoder.
        device: where the network runs: ``"cpu"``, ``"cuda"``, ``"mps"``.
        dtype: dtype of its matrix products; float32 by default.

    Raises:
        UsageError, ModelError: see `terradelta.features.load_features`.
    """

    def __init__(
        self,
        features: str | FeatureEncoder = "dinov2-g",
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> None:
        if isinstance(features, str):
            features = load_features(features, device=device, dtype=dtype)
        self.features = features

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """Objects are connected components, their score the mean norm.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        pair = load_pair(before, after)
        embeddings = []
        for number, image in enumerate((pair.before, pair.after)):
            progress("encoding", number, 2)
            embeddings.append(self.features.encode(image))
        progress("encoding", 2, 2)
        return BaselineChanges.of_intensity(change_magnitude(*embeddings), pair, self.describe())

    def describe(self) -> dict[str, Any]:
        return {"model": "dinov2-cva", "features": self.features.name}


def change_magnitude(before: Embedding, after: Embedding) -> FloatArray:
    """float32 [H, W]: the L2 norm of the difference of two embeddings, upsampled bilinearly.

    Both lie in the image alike, so that it is their difference that is upsampled, a few rows of pixels
    at a time.
    """
    difference = (after.z - before.z).permute(1, 2, 0)
    rows, columns = _on(before.rows, difference.device), _on(before.columns, difference.device)
    height, numbers_per_row = len(rows[0]), len(columns[0]) * difference.shape[2]
    at_once = max(1, NUMBERS_PER_BLOCK // numbers_per_row)
    blocks = []
    for first in range(0, height, at_once):
        lower, upper, fraction = (part[first : first + at_once] for part in rows)
        block = torch.lerp(difference[lower], difference[upper], fraction[:, None, None])
        lower, upper, fraction = columns
        block = torch.lerp(block[:, lower], block[:, upper], fraction[:, None])
        blocks.append(torch.linalg.vector_norm(block, dim=2))
    return np.asarray(torch.cat(blocks).cpu().numpy(), np.float32)


def _on(axis: Axis, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    lower, upper, fraction = (
        torch.from_numpy(part).to(device) for part in (axis.lower, axis.upper, axis.fraction)
    )
    return lower, upper, fraction
