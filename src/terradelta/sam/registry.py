"""The segmenters by name: where their weights come from and under which licence."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from terradelta.errors import ModelError

if TYPE_CHECKING:
    import torch

    from terradelta.sam.segmenter import Segmenter


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One entry: ``image_size`` is the side of the square canvas in px, ``angle`` the default (deg)."""

    summary: str
    licence: str
    angle: float
    image_size: int | None = None
    repository: str | None = None
    revision: str | None = None
    checkpoint_url: str | None = None
    megabytes: int = 0

    @property
    def checkpoint_name(self) -> str | None:
        return self.checkpoint_url and self.checkpoint_url.rsplit("/", 1)[1]


_SAM_FILES = "https://dl.fbaipublicfiles.com/segment_anything"

MODELS: dict[str, ModelCard] = {
    "regions": ModelCard("regions of local descriptors, no weights", "Apache-2.0", 23.0),
    "sam-vit-b": ModelCard(
        "Segment Anything, ViT-B",
        "Apache-2.0",
        25.0,
        1024,
        "facebook/sam-vit-base",
        "70c1a07f894ebb5b307fd9eaaee97b9dfc16068f",
        f"{_SAM_FILES}/sam_vit_b_01ec64.pth",
        375,
    ),
    "sam-vit-l": ModelCard(
        "Segment Anything, ViT-L",
        "Apache-2.0",
        25.0,
        1024,
        "facebook/sam-vit-large",
        "6851e0441005b0fb96f2cc4dfac472f3d1b14af1",
        f"{_SAM_FILES}/sam_vit_l_0b3195.pth",
        1250,
    ),
    "sam-vit-h": ModelCard(
        "Segment Anything, ViT-H",
        "Apache-2.0",
        25.0,
        1024,
        "facebook/sam-vit-huge",
        "87aecf0df4ce6b30cd7de76e87673c49644bdf67",
        f"{_SAM_FILES}/sam_vit_h_4b8939.pth",
        2560,
    ),
}


def weights_folder() -> Path:
    """Where checkpoints are looked for by name: ``$TERRADELTA_WEIGHTS`` or a folder in the cache."""
    return Path(os.environ.get("TERRADELTA_WEIGHTS", "~/.cache/terradelta")).expanduser()


def load_segmenter(
    name: str = "regions",
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> Segmenter:
    """Load a segmenter.

    Args:
        name: a key of ``MODELS``; or the path of an original segment-anything ``.pth`` file, or of a
            folder written by transformers (``config.json`` and ``model.safetensors``).
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``; `regions` always runs on the CPU.
        dtype: dtype of the network's matrix products (autocast); float32 by default.

    Raises:
        ModelError: unknown name, or weights that are absent, unreadable or of another network.
    """
    if name == "regions":
        from terradelta.sam.regions import RegionSegmenter

        return RegionSegmenter()
    from terradelta.sam import checkpoint
    from terradelta.sam.sam import SamSegmenter

    card = MODELS.get(name)
    if card is None and not os.path.exists(name):
        raise ModelError(
            f"unknown model {name!r}: not a file or folder, and not one of {', '.join(MODELS)}"
        )
    network = checkpoint.load_named(name, card) if card else checkpoint.load_path(Path(name))
    return SamSegmenter(network, name=name, device=device, dtype=dtype)
