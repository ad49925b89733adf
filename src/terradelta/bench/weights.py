"""SAM networks for a measurement: loaded, and the same tensors under both formats."""

from __future__ import annotations

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
