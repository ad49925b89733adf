"""From the cells of a point to the logits of its masks: SAM's up-scaling, without making the cells.

The first transposed convolution does not overlap, so it is a matrix product, and goes through the shared
part of the cells and the updates as every projection does (see `decoder`). A LayerNorm follows: what it
would take the mean of is centred beforehand.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from terradelta.sam.cells import Update
from terradelta.sam.cells_cpu import blocks
from terradelta.sam.upscaling_cpu import upscale


class MaskHead:
    """Up-scaling and hypernetworks of a mask decoder.

    ``norm`` is the LayerNorm that gives the cells, ``constant`` [C] what is added to each before it,
    ``dtype`` that of the up-scaling. Rounding to bfloat16 keeps the sign of a logit. ``fused``: with
    `upscaling_cpu`, where the updates are of `cells_cpu`.
    """

    def __init__(
        self, decoder: Any, norm: Any, constant: Tensor, dtype: torch.dtype, *, fused: bool
    ) -> None:
        once, twice, inner = (
            decoder.upscale_conv1,
            decoder.upscale_conv2,
            decoder.upscale_layer_norm,
        )
        by_corner = _by_corner(once.weight, centred=True)
        bias = once.bias - once.bias.mean()
        self._dtype = dtype
        self._once: Tensor = by_corner * norm.weight
        self._once_bias = (bias.repeat(4) + by_corner @ norm.bias).to(dtype)
        self._norm_weight, self._norm_bias = inner.weight.to(dtype), inner.bias.to(dtype)
        self._norm_eps: float = inner.eps
        self._twice = _by_corner(twice.weight, centred=False).to(dtype)
        self._twice_bias = twice.bias.repeat(4).to(dtype)
        self._constant = constant
        self._hypernetworks = decoder.output_hypernetworks_mlps[1:]
        self._fused = fused

    def share(self, carried: Tensor) -> Tensor:
        """[4 D, N]: the shared part of the cells after the first transposed convolution."""
        upscaled = (self._once @ carried.T).to(self._dtype)
        return blocks(upscaled) if self._fused else upscaled

    def logits(
        self,
        upscaled: Tensor,
        asked: Tensor,
        point: Tensor,
        which: Tensor,
        first: Update,
        second: Update,
    ) -> Tensor:
        """Logits [M, 4 s, 4 s] of masks.

        ``upscaled`` is from `share`; ``asked`` [M, C] the mask tokens, ``point`` [M], ascending, which
        point of the updates each is of, and ``which`` [M], 0 to 2, of its masks.
        """
        hyper = self._hyper(asked, which)
        kept, of_kept = torch.unique_consecutive(point, return_inverse=True)
        written, written1 = first.written, second.written
        parts = [written.values, written.base, written1.values, written1.base + self._constant]
        values = self._once @ torch.cat([part[kept] for part in parts], 1).mT
        if self._fused:
            tensors = (self._once_bias, self._norm_weight, self._norm_bias, self._twice)
            parameters = (*tensors, self._twice_bias), self._norm_eps
            updates = first, second
            return upscale(upscaled, values, hyper, of_kept, kept, updates, parameters)
        factor1 = second.factor[kept]
        factor = first.factor[kept] * factor1
        weights = first.weights[kept] * factor, factor, second.weights[kept] * factor1, factor1
        of_point = hyper.new_zeros(len(kept), 3, hyper.shape[1])
        of_point[of_kept, which] = hyper
        parts = [part.to(self._dtype) for part in (factor, torch.cat(weights, 1), values, of_point)]
        logits = self._logits(upscaled, *parts)
        return _as_image(logits[of_kept, which].to(asked.dtype))

    def _hyper(self, asked: Tensor, which: Tensor) -> Tensor:
        """[M, E]: what each mask takes from the up-scaled channels."""
        every = torch.stack([mlp(asked) for mlp in self._hypernetworks])
        return every[which, torch.arange(len(which), device=which.device)]

    def _logits(
        self, upscaled: Tensor, factor: Tensor, weights: Tensor, values: Tensor, hyper: Tensor
    ) -> Tensor:
        """[K, 3, 16, N]: logits of three masks of each point, corner by corner, and so again."""
        once = upscaled * factor + self._once_bias[:, None] + values @ weights
        once = once.unflatten(1, (4, -1))
        size = once.square().mean(2, keepdim=True)
        once = once * (size + self._norm_eps).rsqrt() * self._norm_weight[:, None]
        once = functional.gelu(once + self._norm_bias[:, None])
        twice = functional.gelu(self._twice @ once + self._twice_bias[:, None])
        twice = twice.unflatten(2, (4, -1)).flatten(1, 2)
        return (hyper[:, None] @ twice).transpose(1, 2)


def _by_corner(weight: Tensor, *, centred: bool) -> Tensor:
    """[4 D, C]: the weights [C, D, 2, 2] of a transposed convolution of stride 2, corner by corner."""
    if centred:
        weight = weight - weight.mean(1, keepdim=True)
    return weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous()


def _as_image(logits: Tensor) -> Tensor:
    """[M, 16, N], ordered as `MaskHead._logits` does, to [M, 4 s, 4 s]."""
    side = int(logits.shape[2] ** 0.5)
    corners = logits.view(-1, 2, 2, 2, 2, side, side).permute(0, 5, 1, 3, 6, 2, 4)
    return corners.reshape(-1, 4 * side, 4 * side)
