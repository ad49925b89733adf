"""Attention of SAM's image encoder with relative positions, in pieces that fit into a cache.

The plain module adds a bias of H x 4096 x 4096 numbers to the logits, 0.8 GB per global layer of ViT-B.
Here the bias is made for one head and a few rows of queries at a time and goes straight into
``scaled_dot_product_attention``: the same sums in the same order, exact up to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import SamModel

from terradelta.sam.attention_cpu import attend, can_attend

BIAS_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 29, "mps": 1 << 27}


def speed_up_encoder(network: SamModel) -> None:
    """Replace the attention of every encoder layer in place; the weights are shared."""
    for layer in network.vision_encoder.layers:
        if not isinstance(layer.attn, RelativeAttention) and layer.attn.use_rel_pos:
            layer.attn = RelativeAttention(layer.attn)


class RelativeAttention(nn.Module):
    """Drop-in for the attention of ``SamVisionLayer``."""

    def __init__(self, plain: Any) -> None:
        super().__init__()
        self.qkv = plain.qkv
        self.proj = plain.proj
        self.heads = int(plain.num_attention_heads)
        self.rel_pos_h = plain.rel_pos_h
        self.rel_pos_w = plain.rel_pos_w
        self._table = plain.get_rel_pos

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, None]:
        """[B, h, w, C] to the same; None stands for the attention weights."""
        batch, height, width, _ = hidden_states.shape
        qkv = self.qkv(hidden_states).view(batch, height * width, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).flatten(1, 2)
        by_row, by_column = self._positions(query.unflatten(1, (height, width)))
        if can_attend(query, width):
            query = query * query.shape[-1] ** -0.5
            output = attend(query, key, value, by_row, by_column)
        else:
            output = _attend_in_pieces(query, key, value, by_row, by_column)
        joined = output.view(batch, self.heads, height, width, -1).permute(0, 2, 3, 1, 4)
        return self.proj(joined.flatten(3)), None

    def _positions(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Bias of each query [G, h, w, d] for the rows [G, h, w, h] and columns [G, h, w, w] of keys."""
        _, height, width, _ = query.shape
        rows = self._table(height, height, self.rel_pos_h).to(query.dtype)
        columns = self._table(width, width, self.rel_pos_w).to(query.dtype)
        by_row = torch.einsum("ghwc,hkc->ghwk", query, rows)
        return by_row, torch.einsum("ghwc,wkc->ghwk", query, columns)


def _attend_in_pieces(
    query: Tensor, key: Tensor, value: Tensor, by_row: Tensor, by_column: Tensor
) -> Tensor:
    """Attention [G, h w, d] with a bias that is made for no more heads and rows than fit a cache."""
    _, height, width, _ = by_row.shape
    output = torch.empty_like(query)
    groups, rows = _pieces(query.device.type, height, width)
    for first in range(0, len(query), groups):
        group = slice(first, first + groups)
        for top in range(0, height, rows):
            piece = slice(top * width, (top + rows) * width)
            row = by_row[group, top : top + rows, :, :, None]
            bias = row + by_column[group, top : top + rows, :, None, :]
            output[group, piece] = functional.scaled_dot_product_attention(
                query[group, piece][None],
                key[group][None],
                value[group][None],
                bias.flatten(3).flatten(1, 2)[None],
            )[0]
    return output


def _pieces(device: str, height: int, width: int) -> tuple[int, int]:
    """How many heads, and how many rows of queries, are done at once."""
    budget = BIAS_ELEMENTS.get(device, BIAS_ELEMENTS["cpu"])
    whole = (height * width) ** 2
    if whole <= budget:
        return budget // whole, height
    return 1, max(1, budget // (width * height * width))
