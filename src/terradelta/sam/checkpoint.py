"""SAM weights into a transformers ``SamModel``: by name, from a folder, or from an original file.

Original segment-anything files name their tensors otherwise and carry no configuration; both are
worked out from the tensors, so that any SAM of that family loads, not only the released three.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from transformers import SamConfig, SamModel

from terradelta.errors import ModelError
from terradelta.sam.quiet import quiet_libraries
from terradelta.sam.registry import ModelCard, weights_folder

State = dict[str, torch.Tensor]

# The released weights were trained with LayerNorm's default epsilon in the mask decoder; transformers
# writes 1e-6 into its configurations, which moves scores by about 1e-5.
DECODER_EPSILON = 1e-5

_RENAMES = [
    (r"^image_encoder\.patch_embed\.proj\.", "vision_encoder.patch_embed.projection."),
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.neck\.0\.", "vision_encoder.neck.conv1."),
    (r"^image_encoder\.neck\.1\.", "vision_encoder.neck.layer_norm1."),
    (r"^image_encoder\.neck\.2\.", "vision_encoder.neck.conv2."),
    (r"^image_encoder\.neck\.3\.", "vision_encoder.neck.layer_norm2."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"\.norm(\d|_final_attn)\.", r".layer_norm\1."),
    (
        r"^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$",
        "prompt_encoder.shared_embedding.positional_embedding",
    ),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
]
_MLP_LAYER = re.compile(r"(iou_prediction_head|output_hypernetworks_mlps\.\d+)\.layers\.(\d+)\.")


def load_named(name: str, card: ModelCard) -> SamModel:
    """A registered model: from the weights folder if it is there, else from the hub or its cache."""
    local = weights_folder() / str(card.checkpoint_name)
    if local.exists():
        return load_path(local)
    try:
        return _from_pretrained(str(card.repository), revision=card.revision)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the weights of {name} ({card.megabytes} MB, {card.licence}) are neither on this "
            f"machine nor can the hub be reached. Download {card.checkpoint_url} to {local} "
            f"(or pass its path as the model), or on a connected machine run "
            f"`hf download {card.repository} --revision {card.revision}` and copy its folder here"
        ) from error


def load_path(path: Path) -> SamModel:
    """A transformers folder or an original segment-anything checkpoint."""
    if path.is_dir():
        try:
            return _from_pretrained(str(path))
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"{path} is not a SAM folder of transformers (config.json with model_type 'sam' "
                f"and model.safetensors): {_first_line(error)}"
            ) from error
    return _from_original(path)


@quiet_libraries()
def _from_pretrained(source: str, **options: Any) -> SamModel:
    config = SamConfig.from_pretrained(source, **options)
    if config.model_type != "sam":
        raise ValueError(f"its config.json is of a {config.model_type!r} model")
    config.mask_decoder_config.layer_norm_eps = DECODER_EPSILON
    model, report = SamModel.from_pretrained(
        source, config=config, use_safetensors=True, output_loading_info=True, **options
    )
    missing = sorted(key for key in report["missing_keys"] if "shared_image_embedding" not in key)
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, the first is {missing[0]}")
    return model.eval()


def _from_original(path: Path) -> SamModel:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"{path} is not a PyTorch checkpoint of plain tensors: {_first_line(error)}"
        ) from error
    try:
        model = SamModel(original_config(state))
        report = model.load_state_dict(rename_original(state), strict=False)
    except (AttributeError, KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} is not an original segment-anything checkpoint: {_first_line(error)}"
        ) from error
    if report.missing_keys or report.unexpected_keys:
        wrong = [*report.missing_keys, *report.unexpected_keys]
        raise ModelError(
            f"{path} is not an original segment-anything checkpoint: {len(report.missing_keys)} "
            f"tensors are missing and {len(report.unexpected_keys)} unknown, the first is {wrong[0]}"
        )
    return model.eval()


def rename_original(state: State) -> State:
    """Tensors of an original segment-anything checkpoint under the names of transformers."""
    renamed = {}
    for key, value in state.items():
        for pattern, replacement in _RENAMES:
            key = re.sub(pattern, replacement, key)
        renamed[_MLP_LAYER.sub(_mlp_name, key)] = value
    shared = "prompt_encoder.shared_embedding.positional_embedding"
    renamed["shared_image_embedding.positional_embedding"] = renamed[shared]
    return renamed


def _mlp_name(match: re.Match[str]) -> str:
    layer = {"0": "proj_in.", "1": "layers.0.", "2": "proj_out."}[match[2]]
    return f"{match[1]}.{layer}"


def original_config(state: State) -> SamConfig:
    """The configuration of an original checkpoint, read off the shapes of its tensors."""
    hidden, channels, patch, _ = state["image_encoder.patch_embed.proj.weight"].shape
    cells = state["image_encoder.pos_embed"].shape[1]
    depth = 1 + max(int(k.split(".")[2]) for k in state if k.startswith("image_encoder.blocks."))
    spans = [state[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape[0] for i in range(depth)]
    head = state["image_encoder.blocks.0.attn.rel_pos_h"].shape[1]
    whole = 2 * cells - 1
    windows = [(span + 1) // 2 for span in spans if span != whole]
    prompt = state["mask_decoder.iou_token.weight"].shape[1]
    layers = {k.split(".")[3] for k in state if k.startswith("mask_decoder.transformer.layers.")}
    vision = {
        "hidden_size": hidden,
        "num_channels": channels,
        "patch_size": patch,
        "image_size": cells * patch,
        "num_hidden_layers": depth,
        "num_attention_heads": hidden // head,
        "mlp_dim": state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0],
        "global_attn_indexes": [i for i, span in enumerate(spans) if span == whole],
        "window_size": windows[0] if windows else cells,
        "output_channels": prompt,
        "num_pos_feats": prompt // 2,
    }
    prompt_encoder = {
        "hidden_size": prompt,
        "image_size": cells * patch,
        "patch_size": patch,
        "mask_input_channels": state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
    }
    decoder = {
        "hidden_size": prompt,
        "mlp_dim": state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
        "num_hidden_layers": len(layers),
        "iou_head_hidden_dim": state["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
        "layer_norm_eps": DECODER_EPSILON,
    }
    return SamConfig(
        vision_config=vision, prompt_encoder_config=prompt_encoder, mask_decoder_config=decoder
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
