"""SAM networks for a measurement: seeded random weights, and the same tensors under both formats.

A speed does not depend on what the weights know, only on how many masks survive the thresholds. Random
weights are made so that masks look like masks: the embedding is smooth over the image, depends on what
is seen, and masks are blobs near their point.
"""

from __future__ import annotations

import math
from copy import deepcopy
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from transformers import SamConfig, SamModel

from terradelta.errors import ModelError, UsageError
from terradelta.sam import checkpoint
from terradelta.sam.registry import MODELS
from terradelta.sam.sam import PIXEL_MEAN, PIXEL_STD

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

# Decoder: sharpness of attention, what all tokens share and what the point adds; then logits whose
# contrast is of the order of 10 about a mean that is well below 0, so that most masks are small.
FREQUENCY = 1.0
ATTENTION_GAIN = 5.0
SHARED_GAIN = 0.05
POINT_GAIN = 2.0
LIFT = 3.0
CONTRAST = 60.0
OFFSET = 14.0
IOU_BIAS = 0.6
IOU_SPREAD = 0.3


def missing_peer(package: str) -> ModelError:
    """What to raise where a package of the extra ``bench`` cannot be imported."""
    return ModelError(
        f"{package} is not installed or cannot be imported: "
        f'install it with `pip install "terradelta[bench]"`'
    )


def load_network(name: str) -> SamModel:
    """A SAM by its name in `terradelta.MODELS` or the path of its weights, on the CPU.

    Raises:
        UsageError: a segmenter that is not a SAM. ModelError: the weights cannot be had.
    """
    if name == "regions":
        raise UsageError("the peers segment with SAM: the model must be one, not 'regions'")
    card = MODELS.get(name)
    if card is not None:
        return checkpoint.load_named(name, card)
    if not Path(name).exists():
        raise ModelError(
            f"unknown model {name!r}: not a file or folder, and not one of {', '.join(MODELS)}"
        )
    return checkpoint.load_path(Path(name))


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
        waves.copy_(FREQUENCY * torch.randn(waves.shape, generator=random))
        _smooth_encoder(sam.image_encoder, random)
        _pointed_decoder(sam)
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


def _pointed_decoder(sam: Any) -> None:
    """Pixels attend to the point strongly, so that masks depend on it; most masks are small."""
    decoder = sam.mask_decoder
    decoder.iou_prediction_head.layers[-1].weight.mul_(IOU_SPREAD)
    decoder.iou_prediction_head.layers[-1].bias.fill_(IOU_BIAS)
    for layer in decoder.transformer.layers:
        for attention in (layer.self_attn, layer.cross_attn_image_to_token):
            attention.q_proj.weight.mul_(ATTENTION_GAIN)
            attention.k_proj.weight.copy_(attention.q_proj.weight)
            attention.v_proj.bias.zero_()
        layer.cross_attn_token_to_image.out_proj.weight.mul_(SHARED_GAIN)
        layer.mlp.lin2.weight.mul_(SHARED_GAIN)
        layer.cross_attn_image_to_token.out_proj.weight.mul_(POINT_GAIN)
    for layer in (decoder.output_upscaling[0], decoder.output_upscaling[3]):
        corners = layer.weight  # [in, out, 2, 2]: all four alike, or masks would be dotted
        corners.copy_(2 * corners.mean((2, 3), keepdim=True).expand_as(corners))
    last = decoder.output_upscaling[3]
    last.weight.sub_(last.weight.mean(0, keepdim=True))
    last.bias.fill_(LIFT)
    for network in decoder.output_hypernetworks_mlps:
        head = network.layers[-1]
        head.weight.sub_(head.weight.mean(0, keepdim=True)).mul_(
            CONTRAST / math.sqrt(len(head.bias))
        )
        head.bias.fill_(-OFFSET / (LIFT * len(head.bias)))


def plain_twin(network: SamModel) -> SamModel:
    """A second network around the same tensors, to be made before `SamSegmenter` alters the first."""
    twin = deepcopy(network)
    twin.load_state_dict(network.state_dict(), assign=True)
    return twin.eval()


def original_network(package: str, network: SamModel) -> Any:
    """``network`` with the original classes of a package, made around the very same tensors."""
    sam = build_original(package, network.config)
    tensors = network.state_dict()
    keys = sam.state_dict()
    renamed = checkpoint.rename_original(keys)  # in the same order; a shared tensor is added last
    sam.load_state_dict(
        {old: tensors[new] for old, new in zip(keys, renamed, strict=False)}, assign=True
    )
    return sam.eval()


def build_original(package: str, config: SamConfig) -> Any:
    """A network of the original segment-anything classes of ``package`` for a configuration.

    Raises:
        ModelError: the package is not installed.
    """
    try:
        modeling = import_module(package)
    except ImportError as error:
        raise missing_peer(package.split(".")[0].replace("_", "-")) from error
    vision, prompt, decoder = (
        config.vision_config,
        config.prompt_encoder_config,
        config.mask_decoder_config,
    )
    side, cells = vision.image_size, vision.image_size // vision.patch_size
    return modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            img_size=side,
            patch_size=vision.patch_size,
            embed_dim=vision.hidden_size,
            depth=vision.num_hidden_layers,
            num_heads=vision.num_attention_heads,
            mlp_ratio=vision.mlp_dim / vision.hidden_size,
            out_chans=vision.output_channels,
            qkv_bias=True,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=vision.window_size,
            global_attn_indexes=tuple(vision.global_attn_indexes),
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=prompt.hidden_size,
            image_embedding_size=(cells, cells),
            input_image_size=(side, side),
            mask_in_chans=prompt.mask_input_channels,
        ),
        mask_decoder=modeling.MaskDecoder(
            num_multimask_outputs=decoder.num_multimask_outputs,
            transformer=modeling.TwoWayTransformer(
                depth=decoder.num_hidden_layers,
                embedding_dim=decoder.hidden_size,
                mlp_dim=decoder.mlp_dim,
                num_heads=decoder.num_attention_heads,
            ),
            transformer_dim=decoder.hidden_size,
            iou_head_depth=decoder.iou_head_depth,
            iou_head_hidden_dim=decoder.iou_head_hidden_dim,
        ),
        pixel_mean=list(PIXEL_MEAN),
        pixel_std=list(PIXEL_STD),
    )


def _config(size: str) -> SamConfig:
    spec = SIZES[size]
    tiny = size == "tiny"
    side, channels = (256, 64) if tiny else (1024, 256)
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
