"""Detectors on disk: a folder with weights as safetensors and a JSON file that says of what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from terradelta.detectors.detector import Detector
from terradelta.detectors.registry import build_detector
from terradelta.errors import ModelError, TerradeltaError, UsageError
from terradelta.geo.files import replacing, writable_folder, write_json

WEIGHTS, CARD = "model.safetensors", "detector.json"


def save_detector(
    detector: Detector, folder: str | Path, extra: Mapping[str, Any] | None = None
) -> Path:
    """Write ``model.safetensors`` and ``detector.json`` (name, settings, extra) into the folder.

    Each replaces an older one at once; the weights come first, so that an interruption leaves no card
    without its weights. Returns the folder.

    Raises:
        OutputError: it cannot be written.
    """
    folder = writable_folder(folder)
    tensors = {name: tensor.detach().contiguous() for name, tensor in detector.state_dict().items()}
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(save(tensors))
    card = {"name": detector.name, "settings": detector.settings, "extra": dict(extra or {})}
    write_json(folder / CARD, card)
    return folder


def load_detector(folder: str | Path, device: torch.device | str = "cpu") -> Detector:
    """The detector that `save_detector` wrote, in evaluation mode.

    Raises:
        ModelError: a file is absent, damaged or does not fit the other.
        UsageError: no such device.
    """
    folder = Path(folder)
    card = read_card(folder)
    try:
        detector = build_detector(card["name"], pretrained=False, **card["settings"])
    except (TerradeltaError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder / CARD} describes no detector: {_first_line(error)}") from error
    _fill(detector, folder / WEIGHTS)
    try:
        return detector.to(device).eval()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise UsageError(
            f"device {str(device)!r} is not available on this machine; use 'cpu'"
        ) from error


def read_card(folder: str | Path) -> dict[str, Any]:
    """What ``detector.json`` says: name, settings, extra.

    Raises:
        ModelError: it is absent or says something else.
    """
    path = Path(folder) / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder} is not the folder of a detector: cannot read {CARD}: {_first_line(error)}"
        ) from error
    kinds = {"name": str, "settings": dict, "extra": dict}
    if not isinstance(card, dict) or any(
        not isinstance(card.get(key), kind) for key, kind in kinds.items()
    ):
        raise ModelError(f"{path} is not the card of a detector: it needs {', '.join(kinds)}")
    return card


def _fill(detector: Detector, path: Path) -> None:
    """Every tensor of the network from the file, and no other."""
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot read the weights {path}: {_first_line(error)}") from error
    expected = detector.state_dict()
    odd = sorted(expected.keys() ^ tensors.keys())
    odd = odd or [name for name, tensor in tensors.items() if tensor.shape != expected[name].shape]
    if odd:
        raise ModelError(
            f"{path} does not fit {detector.name} with the settings of {CARD}: {len(odd)} tensors "
            f"differ, the first is {odd[0]}"
        )
    broken = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
    if broken:
        raise ModelError(f"{path} holds weights that are not numbers, the first in {broken[0]}")
    detector.load_state_dict(tensors)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
