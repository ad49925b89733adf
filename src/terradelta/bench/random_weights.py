"""A SAM with seeded random weights whose masks look like masks.

A speed does not depend on what the weights know, only on how many masks survive the thresholds and on
how they look. The embedding is smooth over the image and depends on what is seen; a mask is a blob about
its point: cells attend to the point by their distance from it, which the positional encoding tells, and
the last layer of the hypernetworks is fitted to that.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import SamConfig, SamModel

from terradelta.bench.weights import build_original
from terradelta.errors import UsageError
from terradelta.sam import checkpoint

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"hidden": 64, "layers": 2, "heads": 4, "whole": [1]},
    "vit-b": {"hidden": 768, "layers": 12, "heads": 12, "whole": [2, 5, 8, 11]},
    "vit-l": {"hidden": 1024, "layers": 24, "heads": 16, "whole": [5, 11, 17, 23]},
    "vit-h": {"hidden": 1280, "layers": 32, "heads": 16, "whole": [7, 15, 23, 31]},
}
"""Channels, layers and heads of each encoder, and its layers of global attention."""

PATCH_PX = 16

# Encoder: how strongly a cell sees its patch, knows its place, and is altered by each layer.
SIGHT_GAIN = 1.2
PLACE_GAIN = 1.0
BLOCK_GAIN = 0.4
WAVES = 12
MOST_PERIODS = 2.5
LOUDNESS = 0.3  # of the embedding beside the positions that the decoder adds to it

# Transformer of the decoder: how sharply cells attend to the point, how loud tokens and cells are beside
# their positions, what the point adds to the cells, and what tokens learn from the image.
NEAREST_LOGIT = 4.5
SELF_GAIN = 5.0
TOKEN_LOUDNESS = 0.1
CELL_LOUDNESS = 0.4
POINT_LOUDNESS = 4.0
WRITTEN_GAIN = 2.0
GATHERED_GAIN = 0.05

# Masks: where the three of a point end, as a share of the image, and how steep their logits are.
RADII = 0.05, 0.08, 0.12
CONTRAST = 20.0
HYPER_GAIN = 0.1
LIFT = 3.0
FITTED_POINTS = 16
RIDGE = 0.1
MEAN_IOU = 0.6  # predicted, of each of the three
IOU_SPREAD = 0.1


def random_network(size: str, seed: int = 0) -> SamModel:
    """A SAM of a size of `SIZES` with seeded random weights, on the CPU.

    Raises:
        UsageError: an unknown size. ModelError: segment-anything is not installed.
    """
    state = random_state(size, seed)
    network = SamModel(checkpoint.original_config(state))
    network.load_state_dict(checkpoint.rename_original(state))
    return network.eval()


def random_state(size: str, seed: int = 0) -> checkpoint.State:
    """Its tensors as an original segment-anything checkpoint, float32; `torch.save` makes one."""
    if size not in SIZES:
        raise UsageError(f"unknown size {size!r}: choose from {', '.join(SIZES)}")
    sam = build_original("segment_anything.modeling", _config(size))
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sam.named_parameters():
            noise = torch.randn(weight.shape, generator=random)
            if weight.dim() >= 2:
                weight.copy_(noise * weight[0].numel() ** -0.5)
            else:
                weight.copy_(0.1 * noise if "bias" in name else 1 + 0.2 * noise)
        waves = sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
        waves.copy_(torch.randn(waves.shape, generator=random))
        _smooth_encoder(sam.image_encoder, random)
        _pointed_decoder(sam, random)
    state: checkpoint.State = sam.state_dict()
    return state


def _smooth_encoder(encoder: Any, random: torch.Generator) -> None:
    """Cells see the mean colour of their patch and where they are; layers add little to that."""
    projection = encoder.patch_embed.proj.weight
    colours = torch.randn((*projection.shape[:2], 1, 1), generator=random)
    projection.copy_(SIGHT_GAIN * colours.expand_as(projection) / PATCH_PX**2)
    encoder.pos_embed.copy_(PLACE_GAIN * _smooth_field(encoder.pos_embed.shape[1:], random))
    for block in encoder.blocks:
        block.attn.proj.weight.mul_(BLOCK_GAIN)
        block.mlp.lin2.weight.mul_(BLOCK_GAIN)
    kernel = encoder.neck[2].weight
    kernel.copy_(kernel.mean((2, 3), keepdim=True).expand_as(kernel))
    encoder.neck[3].weight.mul_(LOUDNESS)
    encoder.neck[3].bias.mul_(LOUDNESS)


def _smooth_field(shape: torch.Size, random: torch.Generator) -> torch.Tensor:
    """[h, w, C] of unit variance: random mixtures of a few plane waves of low frequency."""
    rows, columns, channels = shape
    y, x = torch.meshgrid(torch.arange(rows) / rows, torch.arange(columns) / columns, indexing="ij")
    frequency = MOST_PERIODS * (2 * torch.rand((2, WAVES), generator=random) - 1)
    phase = torch.rand(WAVES, generator=random)
    turns = x[..., None] * frequency[0] + y[..., None] * frequency[1] + phase
    mixture = torch.randn((WAVES, channels), generator=random) * math.sqrt(2 / WAVES)
    return torch.cos(2 * math.pi * turns) @ mixture


def _pointed_decoder(sam: Any, random: torch.Generator) -> None:
    decoder, channels = sam.mask_decoder, sam.mask_decoder.transformer_dim
    waves = torch.arange(channels // 4)  # of the positional encoding: sines, then cosines
    compared = torch.stack([waves, waves + channels // 2], 1).flatten()
    foreground = sam.prompt_encoder.point_embeddings[1].weight
    foreground.copy_(POINT_LOUDNESS * torch.randn(foreground.shape, generator=random))
    foreground[:, compared] = 0
    for layer in decoder.transformer.layers:
        _attend_to_what_is_near(layer, compared)
    for layer in (decoder.output_upscaling[0], decoder.output_upscaling[3]):
        corners = layer.weight  # [in, out, 2, 2]: all four alike, or masks would be dotted
        corners.copy_(2 * corners.mean((2, 3), keepdim=True).expand_as(corners))
    last = decoder.output_upscaling[3]
    last.weight.sub_(last.weight.mean(0, keepdim=True))
    last.weight.sub_(last.weight.mean(1, keepdim=True))  # the sum of all channels is a constant
    last.bias.fill_(LIFT)
    _fit_masks(sam, random)


def _attend_to_what_is_near(layer: Any, compared: torch.Tensor) -> None:
    """Cells and tokens are compared in the channels ``compared``, the more alike the nearer they are."""
    for norm, loudness in (
        (layer.norm1, TOKEN_LOUDNESS),
        (layer.norm2, TOKEN_LOUDNESS),
        (layer.norm3, TOKEN_LOUDNESS),
        (layer.norm4, CELL_LOUDNESS),
    ):
        norm.weight.mul_(loudness)
        norm.bias.mul_(loudness)
    layer.self_attn.q_proj.weight.mul_(SELF_GAIN)
    layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
    layer.self_attn.v_proj.bias.zero_()
    layer.cross_attn_token_to_image.out_proj.weight.mul_(GATHERED_GAIN)
    layer.mlp.lin2.weight.mul_(GATHERED_GAIN)
    attention = layer.cross_attn_image_to_token
    gain = math.sqrt(2 * NEAREST_LOGIT / math.sqrt(len(compared) // attention.num_heads))
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight.zero_()
        projection.weight[torch.arange(len(compared)), compared] = gain
        projection.bias.zero_()
    heads = attention.num_heads  # all of them write the same, as none knows the distance well alone
    value, out = (
        attention.v_proj.weight.chunk(heads)[0],
        attention.out_proj.weight.chunk(heads, 1)[0],
    )
    attention.v_proj.weight.copy_(value.repeat(heads, 1) / TOKEN_LOUDNESS)
    attention.v_proj.bias.zero_()
    attention.out_proj.weight.copy_(out.repeat(1, heads) * WRITTEN_GAIN)


def _fit_masks(sam: Any, random: torch.Generator) -> None:
    """Ridge regression of cones about points on the up-scaled channels, in a field for an image."""
    decoder, side = sam.mask_decoder, sam.prompt_encoder.image_embedding_size[0]
    points = torch.rand((FITTED_POINTS, 1, 2), generator=random)
    sparse, dense = sam.prompt_encoder(
        (points * sam.image_encoder.img_size, torch.ones(FITTED_POINTS, 1)), None, None
    )
    field = LOUDNESS * _smooth_field(
        torch.Size((side, side, decoder.transformer_dim)), random
    ).permute(2, 0, 1)
    seen: list[torch.Tensor] = []
    hook = decoder.output_upscaling.register_forward_hook(lambda *call: seen.append(call[2]))
    positions = sam.prompt_encoder.get_dense_pe()
    iou = decoder.predict_masks(field[None], positions, sparse, dense)[1]
    hook.remove()
    head, gain = decoder.iou_prediction_head.layers[-1], IOU_SPREAD / iou.std(0)
    head.bias.sub_(iou.mean(0)).mul_(gain).add_(MEAN_IOU)
    head.weight.mul_(gain[:, None])
    channels = seen[0].permute(0, 2, 3, 1).flatten(0, 2)
    place = (torch.arange(seen[0].shape[2]) + 0.5) / seen[0].shape[2]
    x, y = points[:, 0, :, None, None].unbind(1)
    distance = torch.hypot(place - x, place[:, None] - y).flatten()
    for radius, network in zip(RADII, decoder.output_hypernetworks_mlps[1:], strict=True):
        head = network.layers[-1]
        head.weight.mul_(HYPER_GAIN)
        head.bias.copy_(_falling_with(distance / radius, channels))


def _falling_with(distance: torch.Tensor, channels: torch.Tensor) -> torch.Tensor:
    """[E] that makes of ``channels`` [P, E] what is `CONTRAST` at distance 0 [P] and 0 at distance 1."""
    inside = distance < 1  # with as much weight as all else
    weight = torch.where(inside, len(inside) / inside.sum(), 1.0)[:, None]
    weight = weight / weight.sum()
    centred = channels - (weight * channels).sum(0)
    gram = centred.T @ (weight * centred)
    gram.diagonal().add_(RIDGE * gram.diagonal().mean())
    fitted: torch.Tensor = torch.linalg.solve(
        gram, (weight * centred).T @ (1 - distance).clamp(min=-1)
    )
    made = channels @ fitted
    middle, edge = made[distance < 0.3].median(), made[(distance - 1).abs() < 0.1].median()
    constant = torch.full_like(fitted, 1 / (LIFT * len(fitted)))
    scale = CONTRAST / (middle - edge)
    return scale * (fitted - edge * constant)


def _config(size: str) -> SamConfig:
    spec = SIZES[size]
    tiny = size == "tiny"
    side, channels = (256, 128) if tiny else (1024, 256)
    vision = {
        "hidden_size": spec["hidden"],
        "num_hidden_layers": spec["layers"],
        "num_attention_heads": spec["heads"],
        "global_attn_indexes": spec["whole"],
        "mlp_dim": 4 * spec["hidden"],
        "window_size": 7 if tiny else 14,
        "image_size": side,
        "patch_size": PATCH_PX,
        "output_channels": channels,
    }
    return SamConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": channels, "image_size": side},
        mask_decoder_config={
            "hidden_size": channels,
            "mlp_dim": 128 if tiny else 2048,
            "iou_head_hidden_dim": channels,
        },
    )
