"""The parts of SAM's mask decoder that go over all cells of the image, in torch.

See `decoder` for the notation. A layer writes to the cells what their attention to T tokens gives. The T
weights of a head sum to 1, so the last token's values are written everywhere, and with R = H (T - 1)
weights the differences of the other tokens from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Shared:
    """What all points of one image share: projections of its cells.

    The names with 1 belong to the second layer, those with 2 to the last attention. Keys, values and
    queries are [H, d, N], and so are the image's cells through the output projections, ``seen``,
    ``seen_carried`` and ``seen1_carried``: "carried" is after the first layer's norm, but for its
    factors. An ``offset`` is of what is added after the factors, and so is ``position2``. [N] are the
    squared lengths ``square`` and ``square_carried``, and ``with_constant``, the product with the
    constant of the second layer. ``upscaled`` [4 D, N] is after the first step of the up-scaling.
    """

    key: Tensor
    value: Tensor
    query: Tensor
    key1: Tensor
    key1_offset: Tensor
    value1: Tensor
    query1: Tensor
    query1_offset: Tensor
    key2: Tensor
    position2: Tensor
    value2: Tensor
    seen: Tensor
    seen_carried: Tensor
    seen1_carried: Tensor
    square: Tensor
    square_carried: Tensor
    with_constant: Tensor
    upscaled: Tensor


@dataclass(frozen=True, slots=True)
class Written:
    """What a layer writes to the cells, ``base + weights^T values``, without the weights.

    ``by_token`` [B, H, T, d] the values that the attention sums; after its output projection ``values``
    [B, R, C], those of the tokens but the last less the last's, and ``base`` [B, 1, C], the last's.
    """

    by_token: Tensor
    values: Tensor
    base: Tensor

    @classmethod
    def through(cls, by_token: Tensor, out: Tensor) -> Written:
        """``out`` [H d, C] is the output projection."""
        # Head by head for all points: broadcasting would copy the projection for each point.
        by_head = by_token.transpose(0, 1).flatten(1, 2) @ out.unflatten(0, (by_token.shape[1], -1))
        projected = by_head.unflatten(1, (len(by_token), -1)).transpose(0, 1)
        return cls(by_token, relative(projected).flatten(1, 2), projected[:, :, -1].sum(1)[:, None])


@dataclass(frozen=True, slots=True)
class Projected:
    """`Written` after a projection of the cells: ``values`` [B, H, R, d], ``base`` [B, H, 1, d]."""

    values: Tensor
    base: Tensor


@dataclass(frozen=True, slots=True)
class Update:
    """``written`` and its ``weights`` [B, R, N]; ``factor`` [B, 1, N] normalises the cells afterwards.

    In `cells_cpu` the weights are [B, N / 16, R, 16].
    """

    written: Written
    weights: Tensor
    factor: Tensor


def relative(x: Tensor) -> Tensor:
    """[B, H, T, n] to [B, H, T - 1, n]: differences from the last token."""
    return x[:, :, :-1] - x[:, :, -1:]


class Cells:
    """Passes over the cells.

    ``norm`` and ``norm1`` are the LayerNorms that follow what the two layers write, ``constant`` [C] is
    what is added to the cells between them.
    """

    def __init__(self, norm: Any, norm1: Any, constant: Tensor) -> None:
        self._norm, self._norm1, self.constant = norm, norm1, constant
        self._constant_square = float(constant.double().square().sum())

    def rows(self, x: Tensor, heads: int) -> Tensor:
        """A projection of the cells [N, H d] as [H, d, N], contiguous."""
        return x.T.unflatten(0, (heads, -1)).contiguous()

    def gather(self, shared: Shared, asking: Tensor) -> Tensor:
        """[B, H, T, d]: what tokens ``asking`` [B, H, T, d] gather from the cells of the first layer."""
        flat = asking.transpose(0, 1).flatten(1, 2)
        gathered = functional.scaled_dot_product_attention(
            flat[None], shared.key.mT[None], shared.value.mT[None], scale=1.0
        )
        return gathered[0].unflatten(1, (len(asking), -1)).transpose(0, 1)

    def first(
        self, shared: Shared, key: Tensor, plain: Written, carried: Written
    ) -> tuple[Update, Tensor]:
        """The cells attend to the tokens' ``key`` [B, H, T, d] in the first layer.

        ``plain`` and ``carried`` are what is written without and with the norm's scale. The update is of
        ``carried``; with it [B, 1, N], the squared lengths of what is handed on to the second layer.
        """
        weights = _softmax_beside_zero(relative(key) @ shared.query)
        square = shared.square + _lengths(shared.seen, plain, weights)
        factor = _factor(square, self._norm)
        handed = shared.square_carried + _lengths(shared.seen_carried, carried, weights)
        along = shared.with_constant + (carried.base @ self.constant)[..., None]
        along = along + (carried.values @ self.constant)[:, None] @ weights
        handed = (handed * factor + 2 * along) * factor + self._constant_square
        return Update(carried, weights, factor), handed

    def gather1(
        self, shared: Shared, asking: Tensor, keys: Projected, values: Projected, first: Update
    ) -> Tensor:
        """[B, H, T, d]: what tokens ``asking`` [B, H, T, d] gather from the cells of the second layer.

        ``keys`` and ``values`` are what the first wrote, projected by the second.
        """
        logits = self._against(asking, shared.key1, shared.key1_offset, keys, first)
        weights = torch.softmax(logits, -1) * first.factor[:, None]
        direct = weights @ shared.value1.mT
        small = weights.flatten(1, 2) @ first.weights.mT
        projected = small.unflatten(1, weights.shape[1:3]) @ values.values
        return direct + projected + weights.sum(-1, keepdim=True) * values.base

    def second(
        self,
        shared: Shared,
        key: Tensor,
        queries: Projected,
        first: Update,
        handed: Tensor,
        written: Written,
    ) -> Update:
        """The cells attend to the tokens' ``key`` in the second layer, and ``written`` is added."""
        logits = self._against(relative(key), shared.query1, shared.query1_offset, queries, first)
        weights = _softmax_beside_zero(logits)
        cross = relative(2 * written.by_token) @ shared.seen1_carried
        cross = cross.flatten(1, 2) + 2 * written.values @ first.written.values.mT @ first.weights
        cross = (cross + 2 * written.values @ first.written.base.mT) * first.factor
        cross = cross + written.values @ written.values.mT @ weights
        cross = cross + 2 * written.values @ (written.base.mT + self.constant[:, None])
        based = (2 * written.by_token[:, :, -1:] @ shared.seen1_carried).sum(1)
        based = based + 2 * written.base @ first.written.values.mT @ first.weights
        based = (based + 2 * written.base @ first.written.base.mT) * first.factor
        based = based + (written.base * (written.base + 2 * self.constant)).sum(-1, keepdim=True)
        square = handed + (cross * weights).sum(1, keepdim=True) + based
        return Update(written, weights, _factor(square, self._norm1))

    def ask(
        self,
        shared: Shared,
        query: Tensor,
        scaled: Tensor,
        point: Tensor,
        first: Update,
        second: Update,
    ) -> tuple[Tensor, Tensor]:
        """Tokens ask the cells that the second layer leaves, each those of its ``point`` [A].

        ``query`` [A, H, d], and as queries of cells that are not projected ``scaled`` [A, H, C]. Returns
        what they gather of the image's values [A, H, d], and of all that was written [A, H, C].
        """
        first, second = _of_points(first, point), _of_points(second, point)
        constant = second.written.base + self.constant
        asking = query[:, :, None]
        logits = (asking @ shared.key2)[:, :, 0] + scaled @ first.written.values.mT @ first.weights
        logits = (logits + scaled @ first.written.base.mT) * first.factor
        logits = logits + scaled @ second.written.values.mT @ second.weights
        logits = (logits + scaled @ constant.mT) * second.factor
        logits = logits + (asking @ shared.position2)[:, :, 0]
        weights = torch.softmax(logits, -1) * second.factor
        written = weights @ second.weights.mT @ second.written.values
        written = written + weights.sum(-1, keepdim=True) * constant
        weights = weights * first.factor
        written = written + weights @ first.weights.mT @ first.written.values
        written = written + weights.sum(-1, keepdim=True) * first.written.base
        return (weights[:, :, None] @ shared.value2.mT)[:, :, 0], written

    def _against(
        self, asking: Tensor, direct: Tensor, offset: Tensor, projected: Projected, first: Update
    ) -> Tensor:
        """Dot products [B, H, n, N] of ``asking`` [B, H, n, d] and a projection of the cells.

        ``direct`` and ``offset`` [H, d, N] are the projection of the image and of what is added after
        the factors; ``projected`` that of what the first layer wrote.
        """
        small = (asking @ projected.values.mT).flatten(1, 2) @ first.weights
        logits = asking @ direct + small.unflatten(1, asking.shape[1:3])
        logits = logits + asking @ projected.base.mT
        return logits * first.factor[:, None] + asking @ offset


def _of_points(update: Update, point: Tensor) -> Update:
    written = update.written
    written = Written(written.by_token[point], written.values[point], written.base[point])
    return Update(written, update.weights[point], update.factor[point])


def _softmax_beside_zero(logits: Tensor) -> Tensor:
    """[B, H, T - 1, N] to [B, R, N]: softmax over the tokens; the last one's logit is 0, and left out."""
    whole = torch.softmax(functional.pad(logits, (0, 0, 0, 1)), 2)
    return whole[:, :, :-1].flatten(1, 2)


def _lengths(seen: Tensor, written: Written, weights: Tensor) -> Tensor:
    """[B, 1, N]: what is ``written`` to the image changes in its squared lengths."""
    values, base = written.values, written.base
    cross = (relative(2 * written.by_token) @ seen).flatten(1, 2) + values @ values.mT @ weights
    cross = cross + 2 * values @ base.mT
    alone = (2 * written.by_token[:, :, -1:] @ seen).sum(1) + base.square().sum(-1, keepdim=True)
    return (cross * weights).sum(1, keepdim=True) + alone


def _factor(square: Tensor, norm: Any) -> Tensor:
    """What a LayerNorm multiplies centred cells by, from their squared lengths."""
    return (square / norm.normalized_shape[0]).clamp(min=0).add(norm.eps).rsqrt()
