"""Thresholds of bilinearly enlarged logits, without enlarging what they cannot split.

Between four neighbouring logits bilinear interpolation stays between their smallest and largest. A patch
whose corners are all above a threshold, or all not, is decided by them; only the others, those on the
outline of a mask, are interpolated. The answer is that of enlarging everything, exact up to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class EnlargedLogits:
    """Logits [M, h, w] as if enlarged by an even ``factor`` (half-pixel centres) and cut to ``shape``.

    Patch (i, j) lies between the centres of the logits (i - 1, j - 1) and (i, j), those outside the
    image standing for the nearest inside, and holds up to factor x factor pixels. ``corners`` are four
    tensors [M, h + 1, w + 1], ``low`` and ``high`` the smallest and largest of them.
    """

    corners: tuple[Tensor, ...]
    low: Tensor
    high: Tensor
    factor: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, logits: Tensor, factor: int, shape: tuple[int, int]) -> EnlargedLogits:
        padded = functional.pad(logits[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
        top, bottom = padded[:, :-1], padded[:, 1:]
        corners = top[..., :-1], top[..., 1:], bottom[..., :-1], bottom[..., 1:]
        low = torch.minimum(torch.minimum(*corners[:2]), torch.minimum(*corners[2:]))
        high = torch.maximum(torch.maximum(*corners[:2]), torch.maximum(*corners[2:]))
        return cls(corners, low, high, factor, shape)

    def __getitem__(self, chosen: Tensor) -> EnlargedLogits:
        corners = tuple(corner[chosen] for corner in self.corners)
        return replace(self, corners=corners, low=self.low[chosen], high=self.high[chosen])

    def areas_above(self, threshold: float) -> Tensor:
        """int64 [M]: how many pixels are above the threshold."""
        rows, columns = (self._inside(axis) for axis in (0, 1))
        mask, i, j, above = self._undecided(threshold)
        above &= (rows[i, :, None] & columns[j, None, :]).flatten(1)
        areas = torch.zeros(len(self.low), dtype=torch.int64, device=mask.device)
        areas.index_add_(0, mask, above.sum(1))
        # Sums of up to 2^24 pixels are exact in float32.
        decided = (self.low > threshold).float()
        decided_areas = decided @ columns.sum(1).float() @ rows.sum(1).float()
        return areas + decided_areas.to(torch.int64)

    def above(self, threshold: float) -> Tensor:
        """bool [M, H, W]: the pixels above the threshold."""
        count, rows, columns = self.low.shape
        f, (height, width) = self.factor, self.shape
        tiles = (self.low > threshold)[..., None].expand(-1, -1, -1, f * f).contiguous()
        mask, i, j, above = self._undecided(threshold)
        tiles[mask, i, j] = above
        pixels = tiles.view(count, rows, columns, f, f).transpose(2, 3)
        pixels = pixels.reshape(count, rows * f, columns * f)
        return pixels[:, f // 2 :, f // 2 :][:, :height, :width]

    def _undecided(self, threshold: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mask, row and column (int64 [P]) of the undecided patches, and their pixels bool [P, f * f]."""
        mask, i, j = ((self.low <= threshold) & (self.high > threshold)).nonzero(as_tuple=True)
        corners = torch.stack([corner[mask, i, j] for corner in self.corners], 1)
        steps = torch.arange(self.factor, device=corners.device, dtype=corners.dtype)
        near = (steps + 0.5) / self.factor
        sides = 1 - near, near
        weights = torch.stack([torch.outer(y, x).flatten() for y in sides for x in sides])
        return mask, i, j, corners @ weights > threshold

    def _inside(self, axis: int) -> Tensor:
        """bool [cells + 1, factor]: which pixels of the patches along an axis lie in the image."""
        patches = self.low.shape[axis + 1]
        pixel = torch.arange(patches * self.factor, device=self.low.device) - self.factor // 2
        return ((pixel >= 0) & (pixel < self.shape[axis])).view(patches, self.factor)
