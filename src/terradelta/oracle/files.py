"""Oracles on disk: the adapters as peft has them, the score network, and of which SAM they are.

The weights of SAM are not copied: they are found again by the name or path of the segmenter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from transformers import SamModel

from terradelta.errors import ModelError
from terradelta.geo.files import replacing, writable_folder, write_json
from terradelta.oracle.lora import Lora, fill_lora, merged, save_lora
from terradelta.oracle.model import Oracle
from terradelta.oracle.network import OracleNetwork, load_sam

SCORE, CARD = "score.safetensors", "oracle.json"


def save_oracle(
    network: OracleNetwork, folder: str | Path, extra: Mapping[str, Any] | None = None
) -> Path:
    """Write ``adapter_model.safetensors``, ``adapter_config.json``, ``score.safetensors`` and
    ``oracle.json`` (settings, extra) into the folder; returns it.

    Raises:
        OutputError: it cannot be written.
    """
    folder = writable_folder(folder)
    save_lora(network.encoder, folder)
    tensors = network.score.state_dict()
    with replacing(folder / SCORE) as temporary:
        temporary.write_bytes(
            save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
        )
    write_json(folder / CARD, {"settings": network.settings, "extra": dict(extra or {})})
    return folder


def load_oracle_network(folder: str | Path, *, segmenter: str | None = None) -> OracleNetwork:
    """The network that `save_oracle` wrote, in evaluation mode, on the CPU, to look at or to train on.

    Args:
        segmenter: where its SAM is now, if it is not where it was.

    Raises:
        ModelError: a file is absent or damaged, or the SAM is another.
    """
    return _load(Path(folder), segmenter)[1].eval()


def load_oracle(
    folder: str | Path,
    *,
    segmenter: str | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    **settings: Any,
) -> Oracle:
    """An oracle that finds changes as `AnyChange` does.

    Args:
        folder: ``best`` or ``last`` of a training, or what `save_oracle` wrote.
        segmenter: where its SAM is now, if it is not where it was.
        device, dtype: as for `AnyChange`.
        settings: as for `AnyChange`: ``preset``, ``points_per_side``, ``pred_iou``, ``stability``,
            ``nms``, ``min_region_area``, ``upscale``, ``approximate``.

    Raises:
        ModelError: a file is absent or damaged, or the SAM is another.
        UsageError: a setting is out of range, or no such device.
    """
    sam, network = _load(Path(folder), segmenter)
    sam.vision_encoder = merged(network.encoder)
    name = f"oracle {folder}"
    return Oracle(sam, network.score, name=name, device=device, dtype=dtype, **settings)


def read_card(folder: Path) -> dict[str, Any]:
    """What ``oracle.json`` says: settings, extra.

    Raises:
        ModelError: it is absent or says something else.
    """
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} is not the folder of an oracle: {CARD}: {error}") from error
    if not isinstance(card, dict) or not isinstance(card.get("settings"), dict):
        raise ModelError(f"{path} is not the card of an oracle: it needs settings")
    return card


def _load(folder: Path, segmenter: str | None) -> tuple[SamModel, OracleNetwork]:
    """The SAM, with the adapters beside the weights of its encoder, and the network on it."""
    settings = read_card(folder)["settings"]
    try:
        lora, base = Lora(**settings["lora"]), str(settings["base"])
        source = segmenter or str(settings["segmenter"])
    except (KeyError, TypeError) as error:
        raise ModelError(f"{folder / CARD} describes no oracle: {error}") from error
    sam = load_sam(source)
    network = OracleNetwork(sam, source, lora)
    if network.settings["base"] != base:
        raise ModelError(f"{folder} was trained on another SAM than {source}: give that one")
    fill_lora(network.encoder, folder)
    _fill_score(network, folder / SCORE)
    return sam, network


def _fill_score(network: OracleNetwork, path: Path) -> None:
    try:
        network.score.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{path} holds no score network of this size: {first}") from error
