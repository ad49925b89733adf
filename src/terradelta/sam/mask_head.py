"""From the cells of a point to the logits of its masks: SAM's up-scaling, without making the cells.

The first transposed convolution does not overlap, so it is a matrix product, and goes through the shared
part of the cells and the updates as every projection does (see `decoder`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CELLS_PER_BLOCK = 512
"""Cells of one point that are up-scaled at once on a CPU: what its caches hold."""


@dataclass(frozen=True, slots=True)
class Update:
    """What a layer adds to the cells, ``weights^T values``: [B, H T, N] and [B, H T, C].

    ``factor`` [B, 1, N] normalises the cells afterwards.
    """

    weights: Tensor
    values: Tensor
    factor: Tensor

    def __getitem__(self, index: Tensor) -> Update:
        return Update(self.weights[index], self.values[index], self.factor[index])


class MaskHead:
    """Up-scaling and hypernetworks of a mask decoder.

    ``norm`` is the LayerNorm that gives the cells, ``constant`` [C] what is added to each before it,
    ``dtype`` that of the up-scaling. Rounding to bfloat16 keeps the sign of a logit.
    """

    def __init__(self, decoder: Any, norm: Any, constant: Tensor, dtype: torch.dtype) -> None:
        once, twice = decoder.upscale_conv1, decoder.upscale_conv2
        by_corner = _by_corner(once.weight)
        self._dtype = dtype
        self._once: Tensor = norm.weight[:, None] * by_corner
        self._once_bias = (once.bias.repeat(4) + norm.bias @ by_corner).to(dtype)
        self._twice = _by_corner(twice.weight).to(dtype)
        self._twice_bias = twice.bias.repeat(4).to(dtype)
        inner = decoder.upscale_layer_norm
        self._norm_weight, self._norm_bias = inner.weight.to(dtype), inner.bias.to(dtype)
        self._norm_eps: float = inner.eps
        self._constant = constant
        self._hypernetworks = decoder.output_hypernetworks_mlps[1:]

    def share(self, carried: Tensor) -> Tensor:
        """[N, C]: the shared part of the cells after the first transposed convolution."""
        return (carried @ self._once).to(self._dtype)

    def logits(
        self, upscaled: Tensor, asked: Tensor, first: Update, second: Update, wanted: Tensor
    ) -> Tensor:
        """Logits [M, 4 s, 4 s] of the ``wanted`` masks, bool [B, 3].

        ``upscaled`` is from `share`; ``asked`` [B, 3, C] are the mask tokens.
        """
        hyper = torch.stack([mlp(asked[:, i]) for i, mlp in enumerate(self._hypernetworks)], 1)
        ones = torch.ones_like(first.factor)
        weights = torch.cat([first.weights * first.factor, second.weights, ones], 1)
        weights *= second.factor
        constant = self._constant.expand(len(asked), 1, -1)
        values = torch.cat([first.values, second.values, constant], 1) @ self._once
        factor = (first.factor * second.factor).mT
        hyper, weights, values, factor = (
            part.to(self._dtype) for part in (hyper, weights, values, factor)
        )
        if upscaled.device.type != "cpu":
            logits = self._block(upscaled, factor, weights, values, hyper)
            return _as_image(logits[wanted].to(asked.dtype))
        logits = hyper.new_empty((*hyper.shape[:2], 16 * len(upscaled)))
        for point in range(len(hyper)):
            one = slice(point, point + 1)
            for cell in range(0, len(upscaled), CELLS_PER_BLOCK):
                some = slice(cell, cell + CELLS_PER_BLOCK)
                logits[one, :, 16 * cell : 16 * some.stop] = self._block(
                    upscaled[some],
                    factor[one, some],
                    weights[one, :, some],
                    values[one],
                    hyper[one],
                )
        return _as_image(logits[wanted].to(asked.dtype))

    def _block(
        self, upscaled: Tensor, factor: Tensor, weights: Tensor, values: Tensor, hyper: Tensor
    ) -> Tensor:
        """[B, 3, 16 n]: logits of n cells; within a cell corner by corner, and so again."""
        count, channels = len(hyper), len(self._norm_weight)
        once = torch.addcmul(self._once_bias, upscaled, factor).baddbmm_(weights.mT, values)
        once = functional.layer_norm(
            once.view(-1, channels),
            (channels,),
            self._norm_weight,
            self._norm_bias,
            self._norm_eps,
        )
        twice = torch.addmm(self._twice_bias, functional.gelu(once), self._twice)
        twice = functional.gelu(twice).view(count, -1, hyper.shape[-1])
        return hyper @ twice.mT


def _by_corner(weight: Tensor) -> Tensor:
    """[C, 4 D]: the weights [C, D, 2, 2] of a transposed convolution of stride 2, corner by corner."""
    return weight.permute(0, 2, 3, 1).flatten(1)


def _as_image(logits: Tensor) -> Tensor:
    """[M, 16 N], ordered as `MaskHead._block` does, to [M, 4 s, 4 s]."""
    side = int((logits.shape[1] / 16) ** 0.5)
    corners = logits.view(-1, side, side, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4, 6)
    return corners.reshape(-1, 4 * side, 4 * side)
