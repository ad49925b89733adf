"""`Cells` for a CPU in float32: sixteen cells at a time, nothing of them leaving the cache between steps.

Products of width 16 and 48 over 4096 cells are done as fast as a processor multiplies only if what goes
in and out of them stays in its cache; operation by operation in torch it does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import SamModel

from terradelta.sam.asking_cpu import ask_pass, gather1_pass, gather_pass
from terradelta.sam.cells import Cells, Projected, Shared, Update, Written, relative
from terradelta.sam.simd import BLOCK
from terradelta.sam.writing_cpu import WRITTEN, first_pass, second_pass


class CpuCells(Cells):
    """The same passes, exact up to rounding."""

    @staticmethod
    def can_do(network: SamModel) -> bool:
        """Whether a network is in float32 on a CPU and its cells come in blocks."""
        weight = network.mask_decoder.iou_token.weight
        cells = network.config.vision_config.image_size // network.config.vision_config.patch_size
        on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
        return on_cpu and cells * cells % BLOCK == 0

    def rows(self, x: Tensor, heads: int) -> Tensor:
        return blocks(x.T)

    def gather(self, shared: Shared, asking: Tensor) -> Tensor:
        points, heads, tokens, depth = asking.shape
        cells = len(shared.square)
        sums = asking.new_empty(points, heads, tokens, depth + 1)
        gather_pass(
            (points, heads, depth, cells),
            flat(asking),
            (flat(shared.key), flat(shared.value)),
            flat(asking.new_ones(cells)),
            flat(sums),
        )
        return sums[..., :-1]

    def first(
        self, shared: Shared, key: Tensor, plain: Written, carried: Written
    ) -> tuple[Update, Tensor]:
        points, heads, _, depth = key.shape
        cells = len(shared.square)
        weights = key.new_empty(points, cells // BLOCK, heads * WRITTEN, BLOCK)
        factor, handed = (key.new_empty(points, 1, cells) for _ in range(2))
        first_pass(
            (points, heads, depth, cells),
            flat(relative(key)),
            flat(shared.query),
            flat(shared.seen),
            flat(shared.seen_carried),
            _lengths_of(plain, plain.base),
            _lengths_of(carried, carried.base),
            flat(2 * carried.values @ self.constant),
            flat(2 * carried.base @ self.constant),
            (flat(shared.square), flat(shared.square_carried), flat(shared.with_constant)),
            _norm_numbers(self._norm),
            np.float32(self._constant_square),
            (flat(weights), flat(factor), flat(handed)),
        )
        return Update(carried, weights, factor), handed

    def gather1(
        self, shared: Shared, asking: Tensor, keys: Projected, values: Projected, first: Update
    ) -> Tensor:
        points, heads, tokens, depth = asking.shape
        rank = heads * WRITTEN
        sums = asking.new_empty(points, heads, tokens, depth + rank + 1)
        gather1_pass(
            (points, heads, depth, first.factor.shape[-1]),
            flat(asking),
            flat(asking @ keys.values.mT),
            flat(asking @ keys.base.mT),
            (flat(shared.key1), flat(shared.key1_offset), flat(shared.value1)),
            flat(first.weights),
            flat(first.factor),
            flat(sums),
        )
        direct, small, total = sums.split([depth, rank, 1], -1)
        return direct + small @ values.values + total * values.base

    def second(
        self,
        shared: Shared,
        key: Tensor,
        queries: Projected,
        first: Update,
        handed: Tensor,
        written: Written,
    ) -> Update:
        points, heads, _, depth = key.shape
        asking = relative(key)
        weights, factor = torch.empty_like(first.weights), torch.empty_like(handed)
        whole = torch.cat([2 * written.values, 2 * written.base], 1)
        second_pass(
            (points, heads, depth, handed.shape[-1]),
            flat(asking),
            flat(asking @ queries.values.mT),
            flat(asking @ queries.base.mT),
            (flat(shared.query1), flat(shared.query1_offset), flat(shared.seen1_carried)),
            flat(whole @ first.written.values.mT),
            flat(whole @ first.written.base.mT),
            _lengths_of(written, written.base + 2 * self.constant),
            flat(2 * written.values @ self.constant),
            (flat(first.weights), flat(first.factor), flat(handed)),
            _norm_numbers(self._norm1),
            (flat(weights), flat(factor)),
        )
        return Update(written, weights, factor)

    def ask(
        self,
        shared: Shared,
        query: Tensor,
        scaled: Tensor,
        point: Tensor,
        first: Update,
        second: Update,
    ) -> tuple[Tensor, Tensor]:
        asking, heads, depth = query.shape
        rank = heads * WRITTEN
        base, base1 = first.written.base[point], (second.written.base + self.constant)[point]
        values, values1 = first.written.values[point], second.written.values[point]
        sums = query.new_empty(asking, heads, depth + 2 * rank + 2)
        ask_pass(
            (asking, heads, depth, first.factor.shape[-1]),
            point.numpy(),
            flat(query),
            (flat(shared.key2), flat(shared.position2), flat(shared.value2)),
            (flat(scaled @ values.mT), flat(scaled @ base.mT)),
            (flat(scaled @ values1.mT), flat(scaled @ base1.mT)),
            (flat(first.weights), flat(first.factor)),
            (flat(second.weights), flat(second.factor)),
            flat(sums),
        )
        direct, small, small1, total, total1 = sums.split([depth, rank, rank, 1, 1], -1)
        return direct, small @ values + total * base + small1 @ values1 + total1 * base1


def blocks(x: Tensor) -> Tensor:
    """[n, N] to [N / 16, n, 16]: what belongs to sixteen cells is together."""
    return x.unflatten(1, (-1, BLOCK)).transpose(0, 1).contiguous()


def flat(x: Tensor) -> Any:
    return x.contiguous().view(-1).numpy()


def _norm_numbers(norm: Any) -> tuple[np.float32, np.float32]:
    return np.float32(1 / norm.normalized_shape[0]), np.float32(norm.eps)


def _lengths_of(written: Written, along: Tensor) -> tuple[Any, Any, Any, Any, Any]:
    """What `_lengths` takes: ``along`` [B, 1, C] is what the base is multiplied with for its own."""
    values, twice = written.values, 2 * written.by_token
    gram = 2 * values @ values.mT
    gram = gram.tril() - gram.diagonal(dim1=1, dim2=2).diag_embed() / 2
    return (
        flat(relative(twice)),
        flat(twice[:, :, -1]),
        flat(gram),
        flat(2 * values @ written.base.mT),
        flat((written.base * along).sum(-1)),
    )
