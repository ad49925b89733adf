"""Segment Anything (Kirillov et al., 2023) as a segmenter.

Driven through transformers' ``SamModel`` part by part: its mask generation pipeline drops the
embeddings and the stability, which are what change detection needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional
from transformers import SamModel

from terradelta.sam.allocator import keep_freed_memory
from terradelta.sam.cells import Shared
from terradelta.sam.decoder import FoldedDecoder
from terradelta.sam.device import usable_device
from terradelta.sam.encoder import speed_up_encoder
from terradelta.sam.masks import Masks
from terradelta.sam.outlines_cpu import outlines
from terradelta.sam.segmenter import (
    RGB,
    Axis,
    Defaults,
    Embedding,
    Encoded,
    Proposals,
    Segmenter,
)
from terradelta.sam.threads import on_all_cores
from terradelta.sam.upsampling import EnlargedLogits

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
STABILITY_OFFSETS = 1.0, -1.0
POINTS_PER_BATCH = {"cpu": 32, "cuda": 128, "mps": 32}
"""A point takes 2 MB on a CPU while it is decoded; on a GPU 10 MB, 30 MB more if a mask is kept."""


@dataclass(frozen=True, slots=True)
class _SamState:
    """Modulated embedding [1, C, s, s], the size of the image on the canvas, in px, and what all points
    share of the mask decoder.
    """

    modulated: torch.Tensor
    resized: tuple[int, int]
    shared: Shared


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
        self.device = usable_device(device)
        self.dtype = dtype or torch.float32
        if self.device.type == "cpu":
            keep_freed_memory()
        self.network = network.to(self.device)
        speed_up_encoder(self.network)
        self._decoder = FoldedDecoder(self.network, self.dtype)
        self.canvas_px: int = int(network.config.vision_config.image_size)
        self.patch = int(network.config.vision_config.patch_size)

    def networks(self) -> tuple[torch.nn.Module, ...]:
        return (self.network,)

    def encode(self, image: RGB, context: None = None) -> Encoded:
        return self._encode([image])[0]

    def encode_both(
        self, before: RGB, after: RGB, contexts: tuple[None, None] = (None, None)
    ) -> tuple[Encoded, Encoded]:
        """One batch on a GPU that has the memory; a CPU gains nothing by it."""
        if self.device.type == "cuda":
            with suppress(torch.OutOfMemoryError):
                first, second = self._encode([before, after])
                return first, second
        return super().encode_both(before, after, contexts)

    @torch.inference_mode()
    def _encode(self, images: Sequence[RGB]) -> list[Encoded]:
        resized = [resized_shape(image.shape[:2], self.canvas_px) for image in images]
        canvases = torch.cat([self._on_canvas(*one) for one in zip(images, resized, strict=True)])
        with self._autocast():
            output = self.network.vision_encoder(canvases)
        modulated = output.last_hidden_state.float().split(1)
        return [self._encoded(*one) for one in zip(images, modulated, resized, strict=True)]

    def _encoded(self, image: RGB, modulated: torch.Tensor, resized: tuple[int, int]) -> Encoded:
        height, width = image.shape[:2]
        norm = self.network.vision_encoder.neck.layer_norm2
        z = (modulated[0] - norm.bias[:, None, None]) / norm.weight[:, None, None]
        rows = Axis.half_pixel(height, resized[0] / height / self.patch, self._cells(resized[0]))
        columns = Axis.half_pixel(width, resized[1] / width / self.patch, self._cells(resized[1]))
        state = _SamState(modulated, resized, self._decoder.share(modulated))
        return Encoded((height, width), Embedding(z, rows, columns), state)

    def decode(
        self,
        encoded: Encoded,
        points: NDArray[Any],
        *,
        min_iou: float = 0.0,
        min_stability: float = 0.0,
        coarse_stability: bool = False,
    ) -> Proposals:
        prompts = self._prompts(encoded, points)

        def decode_from(first: int) -> Proposals:
            some = prompts[first : first + batch]
            found = self._decode_batch(encoded, some, min_iou, min_stability, coarse_stability)
            return replace(found, point=found.point + first)

        on_cpu = self.device.type == "cpu"
        batch = POINTS_PER_BATCH.get(self.device.type, POINTS_PER_BATCH["mps"])
        if on_cpu:
            batch = max(1, min(batch, -(-len(points) // torch.get_num_threads())))
        begins = range(0, len(points), batch)
        found = on_all_cores(decode_from, begins) if on_cpu else map(decode_from, begins)
        return Proposals.concatenate([Proposals.empty(encoded.shape), *found])

    @torch.inference_mode()
    def _prompts(self, encoded: Encoded, points: NDArray[Any]) -> torch.Tensor:
        """Sparse embeddings float32 [P, 2, C] of single foreground points [P, 2]."""
        resized, (height, width) = encoded.state.resized, encoded.shape
        on_canvas = points * np.array([resized[1] / width, resized[0] / height])
        placed = torch.as_tensor(on_canvas, dtype=torch.float32, device=self.device)
        labels = torch.ones((1, len(points), 1), dtype=torch.int, device=self.device)
        sparse, _ = self.network.prompt_encoder(
            input_points=placed[None, :, None, :],
            input_labels=labels,
            input_boxes=None,
            input_masks=None,
        )
        return sparse[0]

    @torch.inference_mode()
    def _decode_batch(
        self,
        encoded: Encoded,
        prompts: torch.Tensor,
        min_iou: float,
        min_stability: float,
        coarse_stability: bool,
    ) -> Proposals:
        shared = encoded.state.shared
        decoded = self._decoder.decode(shared, prompts)
        wanted = decoded.iou > min_iou
        if not wanted.any():
            return Proposals.empty(encoded.shape)
        logits = self._decoder.masks(shared, decoded, wanted)
        point, which = wanted.nonzero(as_tuple=True)
        if coarse_stability:
            stable = stability_of(self._unpadded(logits, encoded)) >= min_stability
            logits, point, which = logits[stable], point[stable], which[stable]
            min_stability = 0.0
        masks, stability, kept = self._masks(logits, encoded, min_stability)
        return Proposals(
            masks,
            decoded.iou[point, which][kept].cpu().numpy(),
            stability.cpu().numpy(),
            point[kept].cpu().numpy(),
        )

    def _masks(
        self, logits: torch.Tensor, encoded: Encoded, min_stability: float
    ) -> tuple[Masks, torch.Tensor, torch.Tensor]:
        """Masks of low-resolution logits [M, 4 s, 4 s] that are stable and not empty.

        With their stability [K] and positions [K].
        """
        factor = self.canvas_px // logits.shape[1]
        if encoded.state.resized == encoded.shape and self.device.type == "cpu":
            return outlines(logits, factor, encoded.shape, STABILITY_OFFSETS, min_stability)
        if encoded.state.resized == encoded.shape:
            enlarged = EnlargedLogits.of(logits, factor, encoded.shape)
            inner, outer = (enlarged.areas_above(offset) for offset in STABILITY_OFFSETS)
            stability = inner / outer.clamp(min=1)
            kept = ((stability >= min_stability) & (outer > 0)).nonzero()[:, 0]
            dense = enlarged[kept].above(0)
        else:
            whole = self._to_image(logits, encoded)
            stability = stability_of(whole)
            kept = (stability >= min_stability).nonzero()[:, 0]
            dense = whole[kept] > 0
        filled = dense.flatten(1).any(1)
        kept = kept[filled]
        return Masks.from_dense(dense[filled]), stability[kept], kept

    def _unpadded(self, logits: torch.Tensor, encoded: Encoded) -> torch.Tensor:
        """The part of low-resolution logits [M, 4 s, 4 s] that holds image."""
        rows, columns = (
            math.ceil(pixels * logits.shape[1] / self.canvas_px) for pixels in encoded.state.resized
        )
        return logits[:, :rows, :columns]

    def _to_image(self, logits: torch.Tensor, encoded: Encoded) -> torch.Tensor:
        """Logits [M, 4 s, 4 s] of the canvas to [M, H, W] of the image, in SAM's two resamplings."""
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
    inner, outer = ((logits > offset).flatten(1).sum(1) for offset in STABILITY_OFFSETS)
    return inner / outer.clamp(min=1)


def _resample(logits: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(logits[None], shape, mode="bilinear", align_corners=False)[0]
