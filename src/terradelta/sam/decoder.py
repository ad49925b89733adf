"""SAM's mask decoder for many single points of one image: the same answer for a fraction of the work.

A point is T = 7 tokens; an image N = 4096 cells of C = 256 channels; attention has H = 8 heads of d = 16.
What follows is algebra on the two-way transformer of Kirillov et al., 2023 (appendix A), exact up to
rounding; `docs/speed.md` derives it.

* First layer: the cells are the same for every point, and so are all projections of them.
* A layer adds ``base + weights^T values`` to the cells, of rank R = H (T - 1) = 48, and normalises each
  of them. The cells of a point are therefore never made: they are what all points share, two such
  updates, and after each a factor per cell. The factor follows from squared lengths, and those from
  products of the updates.
* A projection of the cells is that of the shared part plus ``weights^T (projected values)``: products of
  width 16 and 48 where the plain decoder has 256.
* LayerNorm takes the mean over channels away. Everything that enters it is centred beforehand, weights
  included, so that no mean is ever needed.
* The token of the predicted IoU asks the cells last and alone; mask tokens and up-scaling (`mask_head`)
  follow for the masks that are kept.

This module has what is done to tokens; what is done to cells is in `cells`, and for a
CPU in `cells_cpu`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import SamModel

from terradelta.errors import ModelError
from terradelta.sam.cells import Cells, Projected, Shared, Update, Written
from terradelta.sam.cells_cpu import CpuCells
from terradelta.sam.mask_head import MaskHead


@dataclass(frozen=True, slots=True)
class Decoded:
    """Points after the transformer: ``iou`` [B, 3] predicted; the rest is for `FoldedDecoder.masks`."""

    iou: Tensor
    tokens: Tensor
    queries: Tensor
    first: Update
    second: Update


class FoldedDecoder:
    """The mask decoder of a network; see the module's docstring.

    ``dtype`` is that of the up-scaling, half of a point's work, but for a CPU's kernels; the transformer,
    on whose predicted IoU it hangs which masks there are, keeps the network's.

    Raises:
        ModelError: the network's decoder is not SAM's of two layers.
    """

    def __init__(self, network: SamModel, dtype: torch.dtype | None = None) -> None:
        transformer = network.mask_decoder.transformer
        if len(transformer.layers) != 2:
            count = len(transformer.layers)
            raise ModelError(f"SAM's mask decoder has 2 layers, that of these weights has {count}")
        self._network = network
        self._decoder = network.mask_decoder
        self._first, self._second = transformer.layers
        self._final = transformer.final_attn_token_to_image
        self._final_norm = transformer.layer_norm_final_attn
        self._heads = int(self._decoder.config.num_attention_heads)
        norm, second = self._first.layer_norm4, self._second
        with torch.inference_mode():
            self._out = _centred(self._first.cross_attn_image_to_token.out_proj.weight.T)
            self._out_carried = _centred(self._out * norm.weight)
            self._out1 = _centred(second.cross_attn_image_to_token.out_proj.weight.T)
            constant = _centred(norm.bias + second.cross_attn_image_to_token.out_proj.bias)
            self._key1 = _scaled(norm, second.cross_attn_token_to_image.k_proj)
            self._value1 = _scaled(norm, second.cross_attn_token_to_image.v_proj)
            self._query1 = _scaled(norm, second.cross_attn_image_to_token.q_proj)
            self._out_key1 = self._out @ self._key1
            self._out_value1 = self._out @ self._value1
            self._out_query1 = self._out @ self._query1
            self._key2 = _scaled(second.layer_norm4, self._final.k_proj)
            self._value2 = _scaled(second.layer_norm4, self._final.v_proj)
            fused = CpuCells.can_do(network)
            self._cells = (CpuCells if fused else Cells)(norm, second.layer_norm4, constant)
            upscaling = self._out.dtype if fused or dtype is None else dtype
            self._mask_head = MaskHead(
                self._decoder, second.layer_norm4, constant, upscaling, fused=fused
            )

    def share(self, modulated: Tensor) -> Shared:
        """What the points of an image share, from its embedding [1, C, s, s] (not demodulated)."""
        network, norm = self._network, self._first.layer_norm4
        to_image, to_token = (
            self._first.cross_attn_token_to_image,
            self._first.cross_attn_image_to_token,
        )
        cells = modulated[0].flatten(1).T + network.prompt_encoder.no_mask_embed.weight
        position = network.get_image_wide_positional_embeddings()[0].flatten(1).T.contiguous()
        placed, placed1 = cells + position, norm.bias + position
        residual = _centred(cells + to_token.out_proj.bias)
        carried = _centred(residual * norm.weight)

        def rows(x: Tensor) -> Tensor:
            return self._cells.rows(x, self._heads)

        return Shared(
            key=rows(to_image.k_proj(placed)),
            value=rows(to_image.v_proj(cells)),
            query=rows(to_token.q_proj(placed)),
            key1=rows(residual @ self._key1),
            key1_offset=rows(self._second.cross_attn_token_to_image.k_proj(placed1)),
            value1=rows(residual @ self._value1),
            query1=rows(residual @ self._query1),
            query1_offset=rows(self._second.cross_attn_image_to_token.q_proj(placed1)),
            key2=rows(carried @ self._key2),
            position2=rows(position @ self._final.k_proj.weight.T),
            value2=rows(carried @ self._value2),
            seen=rows(residual @ self._out.T),
            seen_carried=rows(carried @ self._out_carried.T),
            seen1_carried=rows(carried @ self._out1.T),
            square=residual.square().sum(1),
            square_carried=carried.square().sum(1),
            with_constant=carried @ self._cells.constant,
            upscaled=self._mask_head.share(carried),
        )

    def decode(self, shared: Shared, prompts: Tensor) -> Decoded:
        """The transformer and the predicted IoU of B points, ``prompts`` [B, 2, C] their embeddings."""
        decoder = self._decoder
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(prompts), -1, -1), prompts], 1)
        queries, first, handed = self._first_layer(shared, tokens)
        queries, second = self._second_layer(shared, tokens, queries, first, handed)
        point = torch.arange(len(prompts), device=prompts.device)
        asked = self._ask(shared, tokens[:, 0], queries[:, 0], point, first, second)
        iou = decoder.iou_prediction_head(asked)[:, 1:]
        return Decoded(iou, tokens[:, 2:5], queries[:, 2:5], first, second)

    def masks(self, shared: Shared, decoded: Decoded, wanted: Tensor) -> Tensor:
        """Logits [M, 4 s, 4 s] of the ``wanted`` masks, bool [B, 3], of points that `decode` gave."""
        first, second = decoded.first, decoded.second
        point, which = wanted.nonzero(as_tuple=True)
        asked = self._ask(
            shared, decoded.tokens[wanted], decoded.queries[wanted], point, first, second
        )
        return self._mask_head.logits(shared.upscaled, asked, point, which, first, second)

    def _first_layer(self, shared: Shared, tokens: Tensor) -> tuple[Tensor, Update, Tensor]:
        """The queries, and what `Cells.first` gives."""
        layer = self._first
        queries = layer.layer_norm1(_attend(layer.self_attn, tokens, tokens))
        attention = layer.cross_attn_token_to_image
        asking = self._split(attention.q_proj(queries + tokens)) * attention.scaling
        gathered = self._cells.gather(shared, asking)
        queries = _after_image(layer, queries + attention.out_proj(_joined(gathered)))
        attention = layer.cross_attn_image_to_token
        key = self._split(attention.k_proj(queries + tokens)) * attention.scaling
        by_token = self._split(attention.v_proj(queries))
        plain = Written.through(by_token, self._out)
        carried = Written.through(by_token, self._out_carried)
        return queries, *self._cells.first(shared, key, plain, carried)

    def _second_layer(
        self,
        shared: Shared,
        tokens: Tensor,
        queries: Tensor,
        first: Update,
        handed: Tensor,
    ) -> tuple[Tensor, Update]:
        layer, by_token = self._second, first.written.by_token
        placed = queries + tokens
        queries = layer.layer_norm1(queries + _attend(layer.self_attn, placed, queries))
        attention = layer.cross_attn_token_to_image
        asking = self._split(attention.q_proj(queries + tokens)) * attention.scaling
        keys = self._projected(by_token, self._out_key1)
        values = self._projected(by_token, self._out_value1)
        gathered = _joined(self._cells.gather1(shared, asking, keys, values, first))
        gathered = gathered + attention.v_proj(self._first.layer_norm4.bias)
        queries = _after_image(layer, queries + attention.out_proj(gathered))
        attention = layer.cross_attn_image_to_token
        key = self._split(attention.k_proj(queries + tokens)) * attention.scaling
        written = Written.through(self._split(attention.v_proj(queries)), self._out1)
        projected = self._projected(by_token, self._out_query1)
        return queries, self._cells.second(shared, key, projected, first, handed, written)

    def _ask(
        self,
        shared: Shared,
        tokens: Tensor,
        queries: Tensor,
        point: Tensor,
        first: Update,
        second: Update,
    ) -> Tensor:
        """[A, C]: tokens [A, C] after the final attention, each to the image of its ``point`` [A]."""
        attention, heads = self._final, (self._heads, -1)
        query = attention.q_proj(queries + tokens).unflatten(1, heads) * attention.scaling
        scaled = torch.einsum("ahd,chd->ahc", query, self._key2.unflatten(1, heads))
        direct, written = self._cells.ask(shared, query, scaled, point, first, second)
        gathered = direct + torch.einsum("ahc,chd->ahd", written, self._value2.unflatten(1, heads))
        gathered = gathered.flatten(1) + attention.v_proj(self._second.layer_norm4.bias)
        return self._final_norm(queries + attention.out_proj(gathered))

    def _projected(self, by_token: Tensor, out: Tensor) -> Projected:
        """What a layer writes, projected; ``out`` [H d, H d] is both projections in one."""
        written = Written.through(by_token, out)
        return Projected(self._split(written.values), self._split(written.base))

    def _split(self, x: Tensor) -> Tensor:
        """[..., n, H d] to [..., H, n, d]."""
        return x.unflatten(-1, (self._heads, -1)).transpose(-3, -2)


def _scaled(norm: Any, projection: Any) -> Tensor:
    """[C, H d]: a projection that follows a norm, for cells without the norm's scale."""
    return norm.weight[:, None] * projection.weight.T


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _joined(x: Tensor) -> Tensor:
    """[B, H, n, d] to [B, n, H d]."""
    return x.transpose(1, 2).flatten(2)


def _attend(attention: Any, placed: Tensor, values: Tensor) -> Tensor:
    """Self-attention of tokens [B, T, C]."""
    output, _ = attention(query=placed[None], key=placed[None], value=values[None])
    return output[0]


def _after_image(layer: Any, queries: Tensor) -> Tensor:
    queries = layer.layer_norm2(queries)
    return layer.layer_norm3(queries + layer.mlp(queries))
