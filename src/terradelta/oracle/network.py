"""SAM's image encoder with LoRA, and the change score network on it: what the Oracle trains.

Every pixel of a pair is a training example: its score is that of the two dates' embeddings there, and
its label whether it changed (AnyChange, appendix C.1: binary cross-entropy and soft dice). Masks come
in with the inference, see `terradelta.oracle.model`.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import SamModel

from terradelta.detectors.detector import Detector
from terradelta.errors import ModelError
from terradelta.oracle.lora import Lora, add_lora
from terradelta.oracle.score import ScoreNetwork
from terradelta.sam.checkpoint import load_named, load_path
from terradelta.sam.fingerprint import fingerprint
from terradelta.sam.registry import MODELS
from terradelta.sam.sam import resized_shape


class OracleNetwork(Detector):
    """Change logits of a pair, of which the adapters and the score network are trained.

    Images are brought to SAM's canvas as the segmenter does, so that a crop of half its side is seen
    enlarged by 2. ``settings``: ``segmenter``, ``base`` (what `fingerprint` says of it) and ``lora``.
    """

    symmetric = True

    def __init__(self, sam: SamModel, segmenter: str, lora: Lora) -> None:
        """The encoder of ``sam``, which ``segmenter`` names, gets the adapters in its place."""
        super().__init__()
        self.name = "oracle"
        self.settings = {
            "segmenter": segmenter,
            "base": fingerprint(sam),
            "lora": asdict(lora),
        }
        vision = sam.config.vision_config
        self.canvas, self.patch = int(vision.image_size), int(vision.patch_size)
        self.encoder = add_lora(sam.vision_encoder, lora)
        self.score = ScoreNetwork(int(vision.output_channels))

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        shape = (before.shape[-2], before.shape[-1])
        first, second = (self.score.features(self.embeddings(date)) for date in (before, after))
        height, width = resized_shape(shape, self.canvas)
        whole = _resized(self.score(first, second), (self.canvas, self.canvas))
        return _resized(whole[..., :height, :width], shape)

    def embeddings(self, images: Tensor) -> Tensor:
        """Demodulated embeddings float32 [B, C, s, s] of float32 [B, 3, H, W] from `normalise`.

        ImageNet's statistics, by which that normalises, are SAM's. Images pass one by one, and again
        for the gradient: the attention of a batch of the paper's size fits into no GPU.
        """
        canvases = self._on_canvas(images).split(1)
        norm = self.encoder.get_base_model().neck.layer_norm2
        encoded = torch.cat([self._encoded(canvas) for canvas in canvases]).float()
        z: Tensor = (encoded - norm.bias[:, None, None]) / norm.weight[:, None, None]
        return z

    def _encoded(self, canvas: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self._forward(canvas)
        again: Tensor = checkpoint(self._forward, canvas, use_reentrant=False)
        return again

    def _forward(self, canvas: Tensor) -> Tensor:
        encoded: Tensor = self.encoder(canvas).last_hidden_state
        return encoded

    def _on_canvas(self, images: Tensor) -> Tensor:
        height, width = resized_shape((images.shape[-2], images.shape[-1]), self.canvas)
        resized = functional.interpolate(
            images, (height, width), mode="bilinear", align_corners=False, antialias=True
        )
        return functional.pad(resized, (0, self.canvas - width, 0, self.canvas - height))


def build_oracle(segmenter: str, lora: Lora | None = None) -> OracleNetwork:
    """A network with new adapters and a new score network, which torch's generator decides.

    Args:
        segmenter: a SAM of `terradelta.MODELS`, or the path of SAM weights.
        lora: rank, alpha and dropout; those of the paper by default.

    Raises:
        ModelError: no such SAM, or its weights cannot be had.
        UsageError: peft is not installed, or a value of ``lora`` is out of range.
    """
    return OracleNetwork(load_sam(segmenter), segmenter, lora or Lora())


def load_sam(segmenter: str) -> SamModel:
    """The network of a SAM by name or path, as transformers runs it.

    Raises:
        ModelError: no such SAM, or its weights cannot be had.
    """
    card = MODELS.get(segmenter)
    if card is not None and card.image_size is not None:
        return load_named(segmenter, card)
    if card is not None or not os.path.exists(segmenter):
        names = ", ".join(name for name, card in MODELS.items() if card.image_size is not None)
        raise ModelError(f"{segmenter!r} is no SAM: choose from {names}, or give a path of weights")
    return load_path(Path(segmenter))


def _resized(logits: Tensor, shape: tuple[int, int]) -> Tensor:
    return functional.interpolate(logits, shape, mode="bilinear", align_corners=False)
