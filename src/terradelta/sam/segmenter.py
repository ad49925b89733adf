"""What a promptable segmenter is: an image in, an embedding and masks for points out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from terradelta.sam.masks import FloatArray, IntArray, Masks

RGB = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Axis:
    """Where the pixels of one image axis lie among the cells of an embedding.

    Pixel ``i`` reads ``(1 - fraction[i]) * z[lower[i]] + fraction[i] * z[upper[i]]``: one row of the
    bilinear interpolation matrix U. ``lower`` and ``upper`` int64 [n], ``fraction`` float32 [n].
    """

    lower: IntArray
    upper: IntArray
    fraction: FloatArray

    @classmethod
    def half_pixel(cls, size: int, cells_per_pixel: float, cells: int) -> Axis:
        """Pixels and cells are areas; only the first ``cells`` cells, the unpadded ones, are read."""
        position = (np.arange(size) + 0.5) * cells_per_pixel - 0.5
        return cls._at(position, cells)

    @classmethod
    def aligned(cls, size: int, cells: int) -> Axis:
        """The first and last pixel lie on the first and last cell (align_corners)."""
        return cls._at(np.arange(size) * ((cells - 1) / max(size - 1, 1)), cells)

    @classmethod
    def _at(cls, position: NDArray[Any], cells: int) -> Axis:
        position = np.clip(position, 0, cells - 1)
        lower = np.minimum(position.astype(np.int64), max(cells - 2, 0))
        fraction = (position - lower).astype(np.float32)
        return cls(lower, np.minimum(lower + 1, cells - 1), fraction)


@dataclass(frozen=True, slots=True)
class Embedding:
    """``z`` float32 [C, h, w], demodulated, and where image rows [H] and columns [W] lie in it."""

    z: torch.Tensor
    rows: Axis
    columns: Axis


@dataclass(frozen=True, slots=True)
class Encoded:
    """One image after ``encode``: its embedding and, in ``state``, what its segmenter decodes from."""

    shape: tuple[int, int]
    embedding: Embedding
    state: Any


@dataclass(frozen=True, slots=True)
class Proposals:
    """Masks with predicted IoU, stability (float32 [N] each) and the point (int64 [N]) they answer."""

    masks: Masks
    iou: FloatArray
    stability: FloatArray
    point: IntArray

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: Any) -> Proposals:
        return Proposals(
            self.masks[index], self.iou[index], self.stability[index], self.point[index]
        )

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Proposals:
        none = np.zeros(0, np.float32)
        return cls(Masks.empty(shape), none, none, np.zeros(0, np.int64))

    @classmethod
    def concatenate(cls, parts: list[Proposals]) -> Proposals:
        return cls(
            Masks.concatenate([part.masks for part in parts]),
            np.concatenate([part.iou for part in parts]),
            np.concatenate([part.stability for part in parts]),
            np.concatenate([part.point for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a segmenter is used with unless the caller says otherwise (angles in degrees)."""

    angle: float
    object_angle: float
    points_per_side: int
    pred_iou: float
    stability: float
    nms: float


class Segmenter(ABC):
    """A promptable segmenter. Stateless: what an image needs later is in its `Encoded`."""

    name: str
    defaults: Defaults
    canvas_px: int | None
    """Side of the square to which every image is resampled, so that only a window of it can be seen
    enlarged; None if images keep their size."""

    @property
    def pixel_rule(self) -> Literal["union", "mean"]:
        """Pixel-level answer: the union of kept changes (the paper's), or the mean angle of all masks
        at a pixel."""
        return "union"

    @property
    def overlap_rule(self) -> Literal["boxes", "layer"]:
        """Duplicates among changes: `box_nms` by score (the paper's), or `one_layer` by predicted IoU."""
        return "boxes"

    def networks(self) -> tuple[torch.nn.Module, ...]:
        """All whose weights decide the answers; none by default."""
        return ()

    def pair_contexts(self, before: RGB, after: RGB, valid: BoolArray) -> tuple[Any, Any]:
        """What encoding one date must know of the other, for before and after; nothing by default."""
        return None, None

    def store_context(self, context: Any) -> Any:
        """A context as plain values that JSON holds exactly, for `restore_context`."""
        return None

    def restore_context(self, stored: Any) -> Any:
        """The context that `store_context` put down: it encodes as the original does."""
        return None

    @abstractmethod
    def encode(self, image: RGB, context: Any = None) -> Encoded:
        """Encode a uint8 [H, W, 3] image; ``context`` is this date's part of `pair_contexts`."""

    def encode_both(
        self, before: RGB, after: RGB, contexts: tuple[Any, Any] = (None, None)
    ) -> tuple[Encoded, Encoded]:
        """`encode` of both dates, together where that is faster."""
        return self.encode(before, contexts[0]), self.encode(after, contexts[1])

    @abstractmethod
    def decode(
        self,
        encoded: Encoded,
        points: NDArray[Any],
        *,
        min_iou: float = 0.0,
        min_stability: float = 0.0,
        coarse_stability: bool = False,
    ) -> Proposals:
        """Masks for single foreground points, [P, 2] as (x, y) in pixels of the encoded image.

        Up to three masks a point, those with predicted IoU above ``min_iou`` and stability of at
        least ``min_stability``; empty masks are left out. ``coarse_stability`` lets a segmenter
        measure stability before it enlarges its logits: an approximation.
        """
