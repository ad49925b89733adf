"""Segment Anything (Kirillov et al., 2023) as a segmenter.

Driven through transformers' ``SamModel`` part by part: its mask generation pipeline drops the
embeddings and the stability, which are what change detection needs.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional
from transformers import SamModel

from terradelta.errors import UsageError
from terradelta.sam.masks import Masks
from terradelta.sam.segmenter import (
    RGB,
    Axis,
    Defaults,
    Embedding,
    Encoded,
    Proposals,
    Segmenter,
)

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
STABILITY_OFFSET = 1.0
POINTS_PER_BATCH = 16


@dataclass(frozen=True, slots=True)
class _SamState:
    """Modulated embedding [1, C, s, s] and the size of the image on the canvas, in px."""

    modulated: torch.Tensor
    resized: tuple[int, int]


class SamSegmenter(Segmenter):
    """A SAM network on one device.

    Embeddings are demodulated: ``z = (neck(x) - b) / w`` undoes the affine part of the neck's last
    LayerNorm, so that every cell has zero mean and unit variance over channels (AnyChange,
    section 3.3 and appendix C.1).
    """

    pixel_rule: ClassVar[Literal["union", "mean"]] = "union"
    overlap_rule: ClassVar[Literal["boxes", "layer"]] = "boxes"
    defaults = Defaults(
        angle=25.0, object_angle=60.0, points_per_side=32, pred_iou=0.5, stability=0.95, nms=0.7
    )

    def __init__(
        self,
        network: SamModel,
        *,
        name: str,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
    ) -> None:
        self.name = name
        self.device = _available(torch.device(device))
        self.dtype = dtype or torch.float32
        self.network = network.to(self.device)
        self.canvas_px: int = int(network.config.vision_config.image_size)
        self.patch = int(network.config.vision_config.patch_size)

    @torch.inference_mode()
    def encode(self, image: RGB, context: None = None) -> Encoded:
        height, width = image.shape[:2]
        resized = resized_shape((height, width), self.canvas_px)
        with self._autocast():
            output = self.network.vision_encoder(self._on_canvas(image, resized))
        modulated = output.last_hidden_state.float()
        norm = self.network.vision_encoder.neck.layer_norm2
        z = (modulated[0] - norm.bias[:, None, None]) / norm.weight[:, None, None]
        rows = Axis.half_pixel(height, resized[0] / height / self.patch, self._cells(resized[0]))
        columns = Axis.half_pixel(width, resized[1] / width / self.patch, self._cells(resized[1]))
        return Encoded((height, width), Embedding(z, rows, columns), _SamState(modulated, resized))

    @torch.inference_mode()
    def decode(
        self,
        encoded: Encoded,
        points: NDArray[Any],
        *,
        min_iou: float = 0.0,
        min_stability: float = 0.0,
    ) -> Proposals:
        parts = [
            self._decode_batch(encoded, points, first, min_iou, min_stability)
            for first in range(0, len(points), POINTS_PER_BATCH)
        ]
        return Proposals.concatenate([Proposals.empty(encoded.shape), *parts])

    def _decode_batch(
        self,
        encoded: Encoded,
        points: NDArray[Any],
        first: int,
        min_iou: float,
        min_stability: float,
    ) -> Proposals:
        batch = points[first : first + POINTS_PER_BATCH]
        logits, iou = self._predict(encoded, batch)
        owner = torch.arange(first, first + len(batch), device=self.device)
        owner = owner.repeat_interleave(logits.shape[1])
        logits, iou = logits.flatten(0, 1), iou.flatten()
        keep = iou > min_iou
        logits, iou, owner = logits[keep], iou[keep], owner[keep]
        logits = self._to_image(logits, encoded)
        stability = stability_of(logits)
        keep = (stability >= min_stability) & (logits > 0).flatten(1).any(1)
        return Proposals(
            Masks.from_dense(logits[keep] > 0),
            iou[keep].cpu().numpy(),
            stability[keep].cpu().numpy(),
            owner[keep].cpu().numpy(),
        )

    def _predict(self, encoded: Encoded, points: NDArray[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Low-resolution logits [P, 3, 4s, 4s] and predicted IoU [P, 3], float32."""
        state: _SamState = encoded.state
        scale = np.array([state.resized[1] / encoded.shape[1], state.resized[0] / encoded.shape[0]])
        on_canvas = torch.as_tensor(points * scale, dtype=torch.float32, device=self.device)
        labels = torch.ones((1, len(points), 1), dtype=torch.int, device=self.device)
        with self._autocast():
            sparse, dense = self.network.prompt_encoder(
                input_points=on_canvas[None, :, None, :],
                input_labels=labels,
                input_boxes=None,
                input_masks=None,
            )
            logits, iou = self.network.mask_decoder(
                image_embeddings=state.modulated,
                image_positional_embeddings=self.network.get_image_wide_positional_embeddings(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=True,
            )
        return logits[0].float(), iou[0].float()

    def _to_image(self, logits: torch.Tensor, encoded: Encoded) -> torch.Tensor:
        """Logits [N, 4s, 4s] of the canvas to [N, H, W] of the image, as SAM does: by two resamplings."""
        if not len(logits):
            return logits.new_zeros((0, *encoded.shape))
        height, width = encoded.state.resized
        canvas = _resample(logits, (self.canvas_px, self.canvas_px))
        return _resample(canvas[:, :height, :width], encoded.shape)

    def _on_canvas(self, image: RGB, resized: tuple[int, int]) -> torch.Tensor:
        """float32 [1, 3, S, S]: resized, normalised, padded with zeros at the right and bottom."""
        picture = Image.fromarray(image).resize(resized[::-1], Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(picture)).to(self.device).permute(2, 0, 1).float()
        mean, std = (torch.tensor(v, device=self.device)[:, None, None] for v in _PIXEL_STATISTICS)
        padding = (0, self.canvas_px - resized[1], 0, self.canvas_px - resized[0])
        return functional.pad((pixels - mean) / std, padding)[None]

    def _cells(self, pixels: int) -> int:
        """Cells of the embedding that hold any of the first ``pixels`` of the canvas."""
        return math.ceil(pixels / self.patch)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


_PIXEL_STATISTICS = (PIXEL_MEAN, PIXEL_STD)


def resized_shape(shape: tuple[int, int], canvas: int) -> tuple[int, int]:
    """Height and width of an image whose long side is scaled to the canvas."""
    scale = canvas / max(shape)
    return max(1, int(shape[0] * scale + 0.5)), max(1, int(shape[1] * scale + 0.5))


def stability_of(logits: torch.Tensor) -> torch.Tensor:
    """Area of logits above +1 over area above -1, [N] from [N, H, W]; 0 where nothing is above -1."""
    inner = (logits > STABILITY_OFFSET).flatten(1).sum(1)
    outer = (logits > -STABILITY_OFFSET).flatten(1).sum(1)
    return inner / outer.clamp(min=1)


def _resample(logits: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(logits[None], shape, mode="bilinear", align_corners=False)[0]


def _available(device: torch.device) -> torch.device:
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise UsageError(f"device {str(device)!r} is not available on this machine; use 'cpu'")
    return device
