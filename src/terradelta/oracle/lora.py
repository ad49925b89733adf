"""LoRA on SAM's image encoder, through peft: what is trained of it, on disk in peft's own format.

Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022. AnyChange names no layers;
adapted are, as there, the projections of the attention, which in SAM are one layer, ``qkv``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from terradelta.errors import ModelError, UsageError
from terradelta.geo.files import replacing, write_json

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


@dataclass(frozen=True, slots=True)
class Lora:
    """Appendix C.1's by default."""

    rank: int = 32
    alpha: float = 320.0
    dropout: float = 0.1


def add_lora(encoder: nn.Module, lora: Lora) -> Any:
    """The encoder within a ``PeftModel``: adapters, which start without effect, and all else frozen.

    Raises:
        UsageError: peft is not installed, or a value is out of range.
    """
    peft = _peft()
    try:
        config = peft.LoraConfig(
            r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=["qkv"]
        )
        return peft.get_peft_model(encoder, config)
    except ValueError as error:
        raise UsageError(f"no LoRA of {asdict(lora)}: {error}") from error


def save_lora(encoder: Any, folder: Path) -> None:
    """Write the adapters as ``PeftModel.from_pretrained`` reads them."""
    tensors = _peft().get_peft_model_state_dict(encoder)
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(
            save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
        )
    config = encoder.peft_config["default"].to_dict()
    write_json(
        folder / CONFIG,
        {
            key: sorted(value) if isinstance(value, set) else value
            for key, value in {**config, "inference_mode": True}.items()
        },
    )


def fill_lora(encoder: Any, folder: Path) -> None:
    """Read the adapters that `save_lora` wrote into an encoder of `add_lora`.

    Raises:
        ModelError: they are absent, damaged, or of another encoder.
    """
    path = folder / WEIGHTS
    peft = _peft()
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read the adapters {path}: {error}") from error
    expected = {k: v.shape for k, v in peft.get_peft_model_state_dict(encoder).items()}
    if {name: tensor.shape for name, tensor in tensors.items()} != expected:
        raise ModelError(f"{path} holds adapters of another network or of another rank")
    peft.set_peft_model_state_dict(encoder, tensors)


def merged(encoder: Any) -> nn.Module:
    """The plain encoder with the adapters worked into its weights."""
    with torch.no_grad():
        plain: nn.Module = encoder.merge_and_unload()
    return plain


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise UsageError("the oracle needs peft: pip install 'terradelta[train]'") from error
    return peft
