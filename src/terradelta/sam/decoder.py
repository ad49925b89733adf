"""SAM's mask decoder for many single points of one image: the same answer for a fraction of the work.

A point is T = 7 tokens; an image N = 4096 cells of C = 256 channels; attention has H = 8 heads of d = 16.
What follows is algebra on the two-way transformer of Kirillov et al., 2023 (appendix A), exact up to
rounding; `docs/speed.md` derives it.

* First layer: the cells are the same for every point, and so are all projections of them.
* The cells leave it as ``LayerNorm(residual + weights^T values)``, with ``weights`` [H T, N] the
  image-to-token attention and ``values`` [H T, C] the token values after the output projection. A
  projection of them in the second layer is that of ``residual``, shared by all points, plus ``weights``
  times a small matrix, scaled per cell: products of width 16 and 56 where the plain decoder has 256.
* Last attention: the query is folded through the key projection and the value projection follows the
  sum, so that the cells are not projected at all. The token of the predicted IoU asks first; mask
  tokens and up-scaling follow for the points that are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import SamModel

from terradelta.errors import ModelError


@dataclass(frozen=True, slots=True)
class _Fold:
    """A second-layer projection of ``(normalised) * norm.weight + norm.bias``, split by heads.

    ``weight`` [C, H d]: of the normalised cells; ``constant`` [H d]: what the norm's bias and the
    projection's own add; ``ones`` [H, d]: the projection of a cell of ones, which the mean takes away;
    ``values`` [H d, H d]: the projection of what the first layer's output projection gives.
    """

    weight: Tensor
    constant: Tensor
    ones: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True)
class Shared:
    """What all points of one image share; the names with 1 belong to the second layer.

    ``position``, ``residual`` [N, C]; ``query``, ``key1``, ``query1``, ``key1_offset`` and
    ``query1_offset`` [H, d, N]; ``key``, ``value``, ``value1`` [H, N, d].
    """

    position: Tensor
    residual: Tensor
    key: Tensor
    value: Tensor
    query: Tensor
    key1: Tensor
    key1_offset: Tensor
    value1: Tensor
    query1: Tensor
    query1_offset: Tensor


@dataclass(frozen=True, slots=True)
class _LowRank:
    """The cells after the first layer: ``weights`` [B, H T, N], token values ``tokens`` [B, H, T, d]
    before the output projection; per cell ``mean`` and reciprocal deviation ``rstd`` [B, 1, N].
    """

    weights: Tensor
    tokens: Tensor
    mean: Tensor
    rstd: Tensor

    def through(self, fold: _Fold) -> Tensor:
        """[B, H, d, H T]: the fold's projection of the first layer's token values, per head."""
        batch, heads, count, width = self.tokens.shape
        blocks = fold.values.view(heads, width, heads * width)
        projected = torch.einsum("btgd,gde->bgte", self.tokens.transpose(1, 2), blocks)
        return projected.reshape(batch, heads * count, heads, width).permute(0, 2, 3, 1)


@dataclass(frozen=True, slots=True)
class Decoded:
    """Points after the transformer: ``iou`` [B, 3] predicted; the rest is for `FoldedDecoder.masks`."""

    iou: Tensor
    tokens: Tensor
    queries: Tensor
    cells: Tensor

    def __getitem__(self, index: Tensor) -> Decoded:
        return Decoded(self.iou[index], self.tokens[index], self.queries[index], self.cells[index])


class FoldedDecoder:
    """The mask decoder of a network; see the module's docstring.

    Raises:
        ModelError: the network's decoder is not SAM's of two layers.
    """

    def __init__(self, network: SamModel) -> None:
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
        with torch.inference_mode():
            self._key1 = self._fold(self._second.cross_attn_token_to_image.k_proj)
            self._value1 = self._fold(self._second.cross_attn_token_to_image.v_proj)
            self._query1 = self._fold(self._second.cross_attn_image_to_token.q_proj)

    def _fold(self, projection: Any) -> _Fold:
        norm = self._first.layer_norm4
        weight = norm.weight[:, None] * projection.weight.T
        out = self._first.cross_attn_image_to_token.out_proj.weight
        return _Fold(
            weight=weight,
            constant=projection(norm.bias),
            ones=weight.sum(0).view(self._heads, -1),
            values=out.T @ weight,
        )

    def share(self, modulated: Tensor) -> Shared:
        """What the points of an image share, from its embedding [1, C, s, s] (not demodulated)."""
        network, first, second = self._network, self._first, self._second
        cells = modulated[0].flatten(1).T + network.prompt_encoder.no_mask_embed.weight
        position = network.get_image_wide_positional_embeddings()[0].flatten(1).T
        placed = cells + position
        to_image, to_token = first.cross_attn_token_to_image, first.cross_attn_image_to_token
        residual = cells + to_token.out_proj.bias
        key_at = second.cross_attn_token_to_image.k_proj.weight.T
        query_at = second.cross_attn_image_to_token.q_proj.weight.T
        return Shared(
            position=position,
            residual=residual,
            key=self._columns(to_image.k_proj(placed)),
            value=self._columns(to_image.v_proj(cells)),
            query=self._rows(to_token.q_proj(placed)),
            key1=self._rows(residual @ self._key1.weight),
            key1_offset=self._rows(position @ key_at + self._key1.constant),
            value1=self._columns(residual @ self._value1.weight),
            query1=self._rows(residual @ self._query1.weight),
            query1_offset=self._rows(position @ query_at + self._query1.constant),
        )

    def decode(self, shared: Shared, prompts: Tensor) -> Decoded:
        """The transformer and the predicted IoU of B points, ``prompts`` [B, 2, C] their embeddings."""
        decoder = self._decoder
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(len(prompts), -1, -1), prompts], 1)
        queries, cells, low_rank = self._first_layer(shared, tokens)
        queries, cells = self._second_layer(shared, tokens, queries, cells, low_rank)
        asked = self._ask(shared, tokens[:, :1], queries[:, :1], cells)
        iou = decoder.iou_prediction_head(asked)[:, 0, 1:]
        return Decoded(iou, tokens[:, 2:5], queries[:, 2:5], cells)

    def masks(self, shared: Shared, decoded: Decoded) -> Tensor:
        """Logits [B, 3, 4 s, 4 s] of the three masks of points that `decode` gave."""
        decoder = self._decoder
        asked = self._ask(shared, decoded.tokens, decoded.queries, decoded.cells)
        networks = decoder.output_hypernetworks_mlps[1:]
        hyper = torch.stack([mlp(asked[:, i]) for i, mlp in enumerate(networks)], 1)
        return torch.cat([self._upscaled(c, h) for c, h in zip(decoded.cells, hyper, strict=True)])

    def _first_layer(self, shared: Shared, tokens: Tensor) -> tuple[Tensor, Tensor, _LowRank]:
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
        values = self._split(attention.v_proj(queries))
        cells = shared.residual.new_empty((len(tokens), *shared.residual.shape))
        cells.copy_(shared.residual).baddbmm_(weights.mT, self._projected(values, attention))
        cells, mean, rstd = _normalised(cells, layer.layer_norm4)
        return queries, cells, _LowRank(weights, values, mean.mT, rstd.mT)

    def _second_layer(
        self, shared: Shared, tokens: Tensor, queries: Tensor, cells: Tensor, low_rank: _LowRank
    ) -> tuple[Tensor, Tensor]:
        layer = self._second
        placed = queries + tokens
        queries = layer.layer_norm1(queries + _attend(layer.self_attn, placed, queries))
        attention = layer.cross_attn_token_to_image
        query = self._split(attention.q_proj(queries + tokens)) * attention.scaling
        logits = self._against(query, shared.key1, shared.key1_offset, self._key1, low_rank)
        gathered = self._gather(torch.softmax(logits, -1), shared.value1, low_rank)
        queries = _after_image(layer, queries + attention.out_proj(_joined(gathered)))
        attention = layer.cross_attn_image_to_token
        key = self._split(attention.k_proj(queries + tokens)) * attention.scaling
        logits = self._against(key, shared.query1, shared.query1_offset, self._query1, low_rank)
        weights = torch.softmax(logits, 2).flatten(1, 2)
        values = self._projected(self._split(attention.v_proj(queries)), attention)
        # The weights of a cell sum to one in each head: a share of the bias in every value adds it once.
        values += attention.out_proj.bias / self._heads
        cells.baddbmm_(weights.mT, values)
        return queries, _normalised(cells, layer.layer_norm4)[0]

    def _against(
        self, asking: Tensor, direct: Tensor, offset: Tensor, fold: _Fold, low_rank: _LowRank
    ) -> Tensor:
        """Dot products [B, H, T, N] of ``asking`` [B, H, T, d] and the fold's projection of the cells."""
        small = (asking @ low_rank.through(fold)).flatten(1, 2)
        logits = torch.bmm(small, low_rank.weights).unflatten(1, asking.shape[1:3])
        logits += _by_head(asking, direct)
        logits -= (asking @ fold.ones[..., None]) * low_rank.mean[:, None]
        logits *= low_rank.rstd[:, None]
        return logits.add_(_by_head(asking, offset))

    def _gather(self, weights: Tensor, direct: Tensor, low_rank: _LowRank) -> Tensor:
        """[B, H, T, d]: the second layer's image values summed with ``weights`` [B, H, T, N]."""
        fold = self._value1
        weights = weights * low_rank.rstd[:, None]
        small = torch.bmm(weights.flatten(1, 2), low_rank.weights.mT)
        small = small.unflatten(1, weights.shape[1:3])
        mean = weights @ low_rank.mean[:, None].mT
        gathered = _by_head(weights, direct) + small @ low_rank.through(fold).mT
        return gathered - mean * fold.ones[:, None] + fold.constant.view(self._heads, 1, -1)

    def _ask(self, shared: Shared, tokens: Tensor, queries: Tensor, cells: Tensor) -> Tensor:
        """[B, K, C]: K tokens after the final attention to the image."""
        attention, heads, count = self._final, self._heads, tokens.shape[1]
        query = self._split(attention.q_proj(queries + tokens)) * attention.scaling
        by_head = attention.k_proj.weight.view(heads, -1, cells.shape[-1])
        folded = (query @ by_head).flatten(1, 2)
        logits = folded @ shared.position.T
        logits.baddbmm_(folded, cells.mT)
        summed = (torch.softmax(logits, -1) @ cells).unflatten(1, (heads, count))
        by_head = attention.v_proj.weight.view(heads, -1, cells.shape[-1])
        gathered = summed @ by_head.mT + attention.v_proj.bias.view(heads, 1, -1)
        return self._final_norm(queries + attention.out_proj(_joined(gathered)))

    def _upscaled(self, cells: Tensor, hyper: Tensor) -> Tensor:
        """Logits [1, 3, 4 s, 4 s] of one point from its cells [N, C] and ``hyper`` [3, C / 8]."""
        decoder = self._decoder
        side = int(len(cells) ** 0.5)
        once = _quartered(cells, decoder.upscale_conv1)
        norm = decoder.upscale_layer_norm
        once = functional.layer_norm(once, once.shape[-1:], norm.weight, norm.bias, norm.eps)
        twice = _quartered(functional.gelu(once), decoder.upscale_conv2)
        logits = hyper @ functional.gelu(twice).T
        grid = logits.view(-1, side, side, 2, 2, 2, 2).permute(0, 1, 3, 5, 2, 4, 6)
        return grid.reshape(1, -1, 4 * side, 4 * side)

    def _projected(self, values: Tensor, attention: Any) -> Tensor:
        """[B, H T, C]: token values [B, H, T, d] after the output projection, without its bias."""
        by_head = attention.out_proj.weight.T.view(self._heads, -1, attention.hidden_size)
        return (values @ by_head).flatten(1, 2)

    def _split(self, x: Tensor) -> Tensor:
        """[..., n, H d] to [..., H, n, d]."""
        return x.unflatten(-1, (self._heads, -1)).transpose(-3, -2)

    def _rows(self, x: Tensor) -> Tensor:
        """[N, H d] to [H, d, N], contiguous."""
        return self._split(x).mT.contiguous()

    def _columns(self, x: Tensor) -> Tensor:
        """[N, H d] to [H, N, d], contiguous."""
        return self._split(x).contiguous()


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


def _normalised(cells: Tensor, norm: Any) -> tuple[Tensor, Tensor, Tensor]:
    """LayerNorm of [B, N, C], and each cell's mean and reciprocal deviation [B, N, 1]."""
    return torch.native_layer_norm(cells, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _quartered(cells: Tensor, convolution: Any) -> Tensor:
    """A 2 x 2 transposed convolution of stride 2 on rows: [n, C] to [n * 4, D], corner by corner."""
    weight = convolution.weight.permute(0, 2, 3, 1)
    output = torch.addmm(convolution.bias.repeat(4), cells, weight.flatten(1))
    return output.view(-1, weight.shape[-1])
