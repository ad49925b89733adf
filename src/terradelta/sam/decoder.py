"""SAM's mask decoder for many single points of one image: the same answer for a fraction of the work.

A point is T = 7 tokens; an image N = 4096 cells of C = 256 channels; attention has H = 8 heads of d = 16.
What follows is algebra on the two-way transformer of Kirillov et al., 2023 (appendix A), exact up to
rounding; `docs/speed.md` derives it.

* First layer: the cells are the same for every point, and so are all projections of them.
* A layer adds ``weights^T values`` to the cells, of rank H T = 56, and normalises each of them. The cells
  of a point are therefore never made: they are what all points share, two such updates, and after each
  a factor per cell. The factor follows from squared lengths, and those from products of the updates.
* A projection of the cells is that of the shared part plus ``weights^T (projected values)``: products of
  width 16 and 56 where the plain decoder has 256.
* LayerNorm takes the mean over channels away. Everything that enters it is centred beforehand, weights
  included, so that no mean is ever needed.
* The token of the predicted IoU asks the cells last and alone; mask tokens and up-scaling (`mask_head`)
  follow for the points that are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import SamModel

from terradelta.errors import ModelError
from terradelta.sam.mask_head import MaskHead, Update


@dataclass(frozen=True, slots=True)
class Shared:
    """What all points of one image share; the names with 1 belong to the second layer.

    ``position`` [N, C]; ``carried`` [N, C], the image's part of the cells after the first layer, before
    their factors; ``query``, ``key1``, ``key1_offset``, ``query1``, ``query1_offset`` and the image seen
    through the output projections, ``seen``, ``seen_carried`` and ``seen1_carried`` [H, d, N]; ``key``,
    ``value``, ``value1`` [H, N, d]; squared lengths ``square`` and ``square_carried``, and
    ``with_constant``, the product of ``carried`` and the constant of the second layer, [N]; ``upscaled``
    [N, C], ``carried`` after the first step of the up-scaling.
    """

    position: Tensor
    carried: Tensor
    key: Tensor
    value: Tensor
    query: Tensor
    key1: Tensor
    key1_offset: Tensor
    value1: Tensor
    query1: Tensor
    query1_offset: Tensor
    seen: Tensor
    seen_carried: Tensor
    seen1_carried: Tensor
    square: Tensor
    square_carried: Tensor
    with_constant: Tensor
    upscaled: Tensor


@dataclass(frozen=True, slots=True)
class Decoded:
    """Points after the transformer: ``iou`` [B, 3] predicted; the rest is for `FoldedDecoder.masks`."""

    iou: Tensor
    tokens: Tensor
    queries: Tensor
    first: Update
    second: Update

    def __getitem__(self, index: Tensor) -> Decoded:
        return Decoded(
            self.iou[index],
            self.tokens[index],
            self.queries[index],
            self.first[index],
            self.second[index],
        )


class FoldedDecoder:
    """The mask decoder of a network; see the module's docstring.

    ``dtype`` is that of the up-scaling, half of a point's work; the transformer, on whose predicted IoU
    it hangs which masks there are, keeps the network's.

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
            self._constant = _centred(norm.bias + second.cross_attn_image_to_token.out_proj.bias)
            self._key1 = _scaled(norm, second.cross_attn_token_to_image.k_proj)
            self._value1 = _scaled(norm, second.cross_attn_token_to_image.v_proj)
            self._query1 = _scaled(norm, second.cross_attn_image_to_token.q_proj)
            self._mask_head = MaskHead(
                self._decoder, second.layer_norm4, self._constant, dtype or self._out.dtype
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
        return Shared(
            position=position,
            carried=carried,
            key=self._columns(to_image.k_proj(placed)),
            value=self._columns(to_image.v_proj(cells)),
            query=self._rows(to_token.q_proj(placed)),
            key1=self._rows(residual @ self._key1),
            key1_offset=self._rows(self._second.cross_attn_token_to_image.k_proj(placed1)),
            value1=self._columns(residual @ self._value1),
            query1=self._rows(residual @ self._query1),
            query1_offset=self._rows(self._second.cross_attn_image_to_token.q_proj(placed1)),
            seen=self._rows(residual @ self._out.T),
            seen_carried=self._rows(carried @ self._out_carried.T),
            seen1_carried=self._rows(carried @ self._out1.T),
            square=residual.square().sum(1),
            square_carried=carried.square().sum(1),
            with_constant=carried @ self._constant,
            upscaled=self._mask_head.share(carried),
        )

    def decode(self, shared: Shared, prompts: Tensor) -> Decoded:
        """The transformer and the predicted IoU of B points, ``prompts`` [B, 2, C] their embeddings."""
        decoder = self._decoder
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(prompts), -1, -1), prompts], 1)
        queries, by_token, first = self._first_layer(shared, tokens)
        queries, second = self._second_layer(shared, tokens, queries, by_token, first)
        asked = self._ask(shared, tokens[:, :1], queries[:, :1], first, second)
        iou = decoder.iou_prediction_head(asked)[:, 0, 1:]
        return Decoded(iou, tokens[:, 2:5], queries[:, 2:5], first, second)

    def masks(self, shared: Shared, decoded: Decoded, wanted: Tensor) -> Tensor:
        """Logits [M, 4 s, 4 s] of the ``wanted`` masks, bool [B, 3], of points that `decode` gave."""
        first, second = decoded.first, decoded.second
        asked = self._ask(shared, decoded.tokens, decoded.queries, first, second)
        return self._mask_head.logits(shared.upscaled, asked, first, second, wanted)

    def _first_layer(self, shared: Shared, tokens: Tensor) -> tuple[Tensor, Tensor, Update]:
        """The queries, the token values [B, H, T, d] and the update that they make."""
        layer = self._first
        queries = layer.layer_norm1(_attend(layer.self_attn, tokens, tokens))
        attention = layer.cross_attn_token_to_image
        query = self._split(attention.q_proj(queries + tokens))
        gathered = functional.scaled_dot_product_attention(
            query.transpose(0, 1).flatten(1, 2)[None],
            shared.key[None],
            shared.value[None],
            scale=attention.scaling,
        )
        gathered = gathered[0].unflatten(1, (len(tokens), -1)).transpose(0, 1)
        queries = _after_image(layer, queries + attention.out_proj(_joined(gathered)))
        attention = layer.cross_attn_image_to_token
        key = self._split(attention.k_proj(queries + tokens)) * attention.scaling
        weights = torch.softmax(_by_head(key, shared.query), 2).flatten(1, 2)
        by_token = self._split(attention.v_proj(queries))
        square = self._square(shared.seen, by_token, self._projected(by_token, self._out), weights)
        factor = _factor(square.add_(shared.square), layer.layer_norm4)
        carried = self._projected(by_token, self._out_carried)
        return queries, by_token, Update(weights, carried, factor)

    def _second_layer(
        self, shared: Shared, tokens: Tensor, queries: Tensor, by_token: Tensor, first: Update
    ) -> tuple[Tensor, Update]:
        layer, values = self._second, self._projected(by_token, self._out)
        placed = queries + tokens
        queries = layer.layer_norm1(queries + _attend(layer.self_attn, placed, queries))
        attention = layer.cross_attn_token_to_image
        query = self._split(attention.q_proj(queries + tokens)) * attention.scaling
        projected = self._split(values @ self._key1)
        logits = self._against(query, shared.key1, shared.key1_offset, projected, first)
        projected = self._split(values @ self._value1)
        gathered = self._gather(torch.softmax(logits, -1), shared.value1, projected, first)
        gathered = _joined(gathered) + attention.v_proj(self._first.layer_norm4.bias)
        queries = _after_image(layer, queries + attention.out_proj(gathered))
        attention = layer.cross_attn_image_to_token
        key = self._split(attention.k_proj(queries + tokens)) * attention.scaling
        projected = self._split(values @ self._query1)
        logits = self._against(key, shared.query1, shared.query1_offset, projected, first)
        weights = torch.softmax(logits, 2).flatten(1, 2)
        by_token1 = self._split(attention.v_proj(queries))
        values1 = self._projected(by_token1, self._out1)
        square = self._square_carried(shared, by_token, first)
        square += self._square_added(shared, by_token1, values1, weights, first)
        return queries, Update(weights, values1, _factor(square, layer.layer_norm4))

    def _square(self, seen: Tensor, by_token: Tensor, values: Tensor, weights: Tensor) -> Tensor:
        """[B, 1, N]: what adding ``weights^T values`` to the image changes in its squared lengths."""
        product = _by_head(2 * by_token, seen).flatten(1, 2)
        product.baddbmm_(values @ values.mT, weights)
        return product.mul_(weights).sum(1, keepdim=True)

    def _square_carried(self, shared: Shared, by_token: Tensor, first: Update) -> Tensor:
        """[B, 1, N]: squared lengths of what the first layer hands on, with the second's constant."""
        square = self._square(shared.seen_carried, by_token, first.values, first.weights)
        square += shared.square_carried
        along = (first.values @ self._constant)[:, None] @ first.weights + shared.with_constant
        return (square * first.factor + 2 * along) * first.factor + self._constant.square().sum()

    def _square_added(
        self, shared: Shared, by_token: Tensor, values: Tensor, weights: Tensor, first: Update
    ) -> Tensor:
        """[B, 1, N]: what the second layer's update changes in them."""
        product = _by_head(2 * by_token, shared.seen1_carried).flatten(1, 2)
        product.baddbmm_(values @ first.values.mT, first.weights, alpha=2)
        product *= first.factor
        product.baddbmm_(values @ values.mT, weights)
        product += (2 * values @ self._constant)[..., None]
        return product.mul_(weights).sum(1, keepdim=True)

    def _against(
        self, asking: Tensor, direct: Tensor, offset: Tensor, projected: Tensor, first: Update
    ) -> Tensor:
        """Dot products [B, H, T, N] of ``asking`` [B, H, T, d] and a projection of the cells.

        ``direct`` and ``offset`` [H, d, N] are the projection of the image and of what is added after
        the factors; ``projected`` [B, H, H T, d] that of the first layer's values.
        """
        logits = torch.bmm((asking @ projected.mT).flatten(1, 2), first.weights)
        by_head = logits.unflatten(1, asking.shape[1:3])
        _add_by_head(by_head, asking, direct)
        logits *= first.factor
        _add_by_head(by_head, asking, offset)
        return by_head

    def _gather(self, weights: Tensor, direct: Tensor, projected: Tensor, first: Update) -> Tensor:
        """[B, H, T, d]: a projection of the cells, summed with ``weights`` [B, H, T, N]."""
        weights = weights * first.factor[:, None]
        small = torch.bmm(weights.flatten(1, 2), first.weights.mT)
        return _by_head(weights, direct) + small.unflatten(1, weights.shape[1:3]) @ projected

    def _ask(
        self, shared: Shared, tokens: Tensor, queries: Tensor, first: Update, second: Update
    ) -> Tensor:
        """[B, K, C]: K tokens after the final attention to the image."""
        attention, heads, count = self._final, self._heads, tokens.shape[1]
        norm, channels = self._second.layer_norm4, tokens.shape[-1]
        query = self._split(attention.q_proj(queries + tokens)) * attention.scaling
        by_head = attention.k_proj.weight.view(heads, -1, channels)
        folded = (query @ by_head).flatten(1, 2)
        scaled = folded * norm.weight
        rows = folded.shape[:2]
        logits = (scaled.flatten(0, 1) @ shared.carried.T).unflatten(0, rows)
        logits.baddbmm_(scaled @ first.values.mT, first.weights).mul_(first.factor)
        logits.baddbmm_(scaled @ second.values.mT, second.weights)
        logits.add_((scaled @ self._constant)[..., None]).mul_(second.factor)
        logits.flatten(0, 1).addmm_(folded.flatten(0, 1), shared.position.T)
        weights = torch.softmax(logits, -1).mul_(second.factor)
        summed = weights @ second.weights.mT @ second.values
        summed += weights.sum(-1, keepdim=True) * self._constant
        weights *= first.factor
        summed += weights @ first.weights.mT @ first.values
        summed += (weights.flatten(0, 1) @ shared.carried).unflatten(0, rows)
        summed = (summed * norm.weight + norm.bias).unflatten(1, (heads, count))
        by_head = attention.v_proj.weight.view(heads, -1, channels)
        gathered = _joined(summed @ by_head.mT) + attention.v_proj.bias
        return self._final_norm(queries + attention.out_proj(gathered))

    def _projected(self, by_token: Tensor, out: Tensor) -> Tensor:
        """[B, H T, C]: token values [B, H, T, d] after an output projection [H d, C]."""
        return (by_token @ out.view(self._heads, -1, out.shape[-1])).flatten(1, 2)

    def _split(self, x: Tensor) -> Tensor:
        """[..., n, H d] to [..., H, n, d]."""
        return x.unflatten(-1, (self._heads, -1)).transpose(-3, -2)

    def _rows(self, x: Tensor) -> Tensor:
        """[N, H d] to [H, d, N], contiguous."""
        return self._split(x).mT.contiguous()

    def _columns(self, x: Tensor) -> Tensor:
        """[N, H d] to [H, N, d], contiguous."""
        return self._split(x).contiguous()


def _scaled(norm: Any, projection: Any) -> Tensor:
    """[C, H d]: a projection that follows a norm, for cells without the norm's scale."""
    return norm.weight[:, None] * projection.weight.T


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _factor(square: Tensor, norm: Any) -> Tensor:
    """What a LayerNorm multiplies centred cells by, from their squared lengths."""
    return (square / norm.normalized_shape[0]).clamp_(min=0).add_(norm.eps).rsqrt_()


def _by_head(asking: Tensor, shared: Tensor) -> Tensor:
    """[B, H, n, m] from [B, H, n, k] and [H, k, m], the same for all points.

    Broadcasting copies ``shared`` for every point, which on a CPU costs as much as the product.
    """
    if asking.device.type != "cpu":
        return asking @ shared
    product = asking.new_empty((*asking.shape[:3], shared.shape[-1]))
    for one, result in zip(asking, product, strict=True):
        torch.bmm(one, shared, out=result)
    return product


def _add_by_head(total: Tensor, asking: Tensor, shared: Tensor) -> None:
    """`_by_head` added to ``total`` [B, H, n, m]."""
    if asking.device.type != "cpu":
        total += asking @ shared
        return
    for one, result in zip(asking, total, strict=True):
        result.baddbmm_(one, shared)


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
