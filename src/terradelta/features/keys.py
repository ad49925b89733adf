"""Keys of an attention layer inside SAM's encoder as features: no weights but those of the segmenter.

Keys of a layer in the middle of a vision transformer are good dense descriptors (Amir et al., "Deep ViT
Features as Dense Visual Descriptors", 2021); GeSCF (Kim and Kim, "Towards Generalizable Scene Change
Detection", CVPR 2025) finds changes by those of SAM's layer 17 of 32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terradelta.errors import UsageError
from terradelta.sam.sam import SamSegmenter
from terradelta.sam.segmenter import Embedding


class SamKeyFeatures:
    """The keys of ``layer``, counted from 1, all heads one after another.

    By default the first layer of the encoder's second half: GeSCF's layer 17 of ViT-H, 13 of ViT-L and 7
    of ViT-B. In all three it reads what the second global attention layer wrote, so that the windows
    of the others leave no seams.

    With n the normalised input of the layer, w and b the affine part of its LayerNorm, a key is
    ``K (w n + b) + k``. ``K b + k`` is the same for all tokens, adds the same to all logits of a query,
    and falls out of the softmax: nothing in training ties it to the image, but it would tilt every
    angle. Here it is left out: ``z = K (w n)``.

    An image costs one more pass of the encoder. No angle has been published for keys: SAM's are the
    defaults, and ``threshold="otsu"`` chooses one from the pair.
    """

    angle = SamSegmenter.defaults.angle
    object_angle = SamSegmenter.defaults.object_angle

    def __init__(self, segmenter: SamSegmenter, layer: int | None = None) -> None:
        layers = segmenter.network.vision_encoder.layers
        number = len(layers) // 2 + 1 if layer is None else layer
        if not 1 <= number <= len(layers):
            raise UsageError(
                f"{segmenter.name} has no layer {number}: its encoder has layers 1 to {len(layers)}"
            )
        self.name = f"sam-key:{number}"
        self.device, self.dtype = segmenter.device, segmenter.dtype
        self._segmenter = segmenter
        self._layer = layers[number - 1]

    def networks(self) -> tuple[torch.nn.Module, ...]:
        return self._segmenter.networks()

    @torch.inference_mode()
    def encode(self, image: NDArray[np.uint8]) -> Embedding:
        with _inputs_of(self._layer) as inputs:
            embedding = self._segmenter.encode(image).embedding
        hidden, norm = inputs[0][0].float(), self._layer.layer_norm1
        channels = hidden.shape[-1:]
        normalised = functional.layer_norm(hidden, channels, norm.weight, None, norm.eps)
        _, key, _ = self._layer.attn.qkv.weight.chunk(3)
        return replace(embedding, z=functional.linear(normalised, key).permute(2, 0, 1))


@contextmanager
def _inputs_of(layer: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """What the layer reads while the context is open, [B, h, w, C] each time."""
    inputs: list[torch.Tensor] = []

    def note(_: torch.nn.Module, given: tuple[Any, ...]) -> None:
        inputs.append(given[0])

    handle = layer.register_forward_pre_hook(note)
    try:
        yield inputs
    finally:
        handle.remove()
