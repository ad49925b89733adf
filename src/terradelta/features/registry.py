"""The feature encoders by name: where their weights come from and under which licence."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from terradelta.errors import ModelError, UsageError

if TYPE_CHECKING:
    import torch

    from terradelta.features.encoder import FeatureEncoder
    from terradelta.sam.segmenter import Segmenter


@dataclass(frozen=True, slots=True)
class FeatureCard:
    """One entry. Without a ``repository`` it needs no weights but those of the segmenter."""

    summary: str
    licence: str
    repository: str | None = None
    revision: str | None = None
    megabytes: int = 0


FEATURES: dict[str, FeatureCard] = {
    "dinov2-s": FeatureCard(
        "DINOv2, ViT-S/14",
        "Apache-2.0",
        "facebook/dinov2-small",
        "ed25f3a31f01632728cabb09d1542f84ab7b0056",
        88,
    ),
    "dinov2-b": FeatureCard(
        "DINOv2, ViT-B/14",
        "Apache-2.0",
        "facebook/dinov2-base",
        "f9e44c814b77203eaa57a6bdbbd535f21ede1415",
        346,
    ),
    "dinov2-l": FeatureCard(
        "DINOv2, ViT-L/14",
        "Apache-2.0",
        "facebook/dinov2-large",
        "47b73eefe95e8d44ec3623f8890bd894b6ea2d6c",
        1218,
    ),
    "dinov2-g": FeatureCard(
        "DINOv2, ViT-g/14",
        "Apache-2.0",
        "facebook/dinov2-giant",
        "611a9d42f2335e0f921f1e313ad3c1b7178d206d",
        4546,
    ),
    "sam-key": FeatureCard("keys of an attention layer of the SAM that segments", "Apache-2.0"),
}


def load_features(
    name: str,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    segmenter: Segmenter | None = None,
) -> FeatureEncoder:
    """Load a feature encoder.

    Args:
        name: a key of ``FEATURES``, or the path of a DINOv2 folder written by transformers. A number
            may follow a key: ``"dinov2-b:1036"``, the long side in px to which images are brought;
            ``"sam-key:17"``, the layer, counted from 1.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``.
        dtype: dtype of the network's matrix products (autocast); float32 by default.
        segmenter: the SAM of ``"sam-key"``, which brings its own device and dtype.

    Raises:
        UsageError: a number out of range, no such device, or ``"sam-key"`` without a SAM.
        ModelError: unknown name, or weights that are absent, unreadable or of another network.
    """
    key, _, text = name.partition(":")
    number = _whole_number(name, text) if key in FEATURES else None
    if key == "sam-key":
        from terradelta.features.keys import SamKeyFeatures
        from terradelta.sam.sam import SamSegmenter

        if not isinstance(segmenter, SamSegmenter):
            given = "no segmenter" if segmenter is None else repr(segmenter.name)
            raise UsageError(
                f"features {name!r} are those of a SAM, got {given}: choose a SAM model"
            )
        return SamKeyFeatures(segmenter, number)
    from terradelta.features import dinov2

    card = FEATURES.get(key)
    if card is None and not os.path.exists(name):
        raise ModelError(
            f"unknown features {name!r}: not a folder, and not one of {', '.join(FEATURES)}"
        )
    network = dinov2.load_named(key, card) if card else dinov2.load_folder(Path(name))
    return dinov2.Dinov2Features(network, name=name, device=device, dtype=dtype, long_side=number)


def _whole_number(name: str, text: str) -> int | None:
    """What follows the colon of a name."""
    if text and not (text.isascii() and text.isdigit()):
        raise UsageError(f"features {name!r}: a whole number must follow the colon")
    return int(text) if text else None
