"""Convolutional backbones by name: timm's networks, cut to a few levels of features."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from terradelta.baselines.learning import seeded
from terradelta.errors import ModelError
from terradelta.sam.registry import weights_folder

HUB_FILE = "model.safetensors"


class Backbone(nn.Module):
    """Images to features: float32 [N, 3, H, W] in [0, 255] to one [N, C, h, w] per level, finest first.

    ``channels`` and ``strides`` (image pixels a cell) are those of the levels.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.body = body
        info, normal = body.feature_info, body.pretrained_cfg
        self.channels: tuple[int, ...] = tuple(info.channels())
        self.strides: tuple[int, ...] = tuple(info.reduction())
        for name in ("mean", "std"):
            scaled = 255 * torch.tensor(normal[name]).view(1, 3, 1, 1)
            self.register_buffer(name, scaled, persistent=False)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return list(self.body((images - self.mean) / self.std))


def load_backbone(
    name: str,
    levels: Sequence[int],
    *,
    pretrained: bool = True,
    output_stride: int = 32,
    seed: int = 0,
) -> Backbone:
    """A convolutional network of timm, e.g. ``"resnet18"``, ``"resnet50"``, ``"vgg16"``.

    Args:
        name: timm's name, with or without the tag of its weights (``"resnet50.a1_in1k"``).
        levels: which levels of features, 0 the finest: of a ResNet those of stride 2, 4, 8, 16, 32.
        pretrained: with weights: ``<name>.safetensors`` (timm's tensor names) of the weights folder,
            ``$TERRADELTA_WEIGHTS``, or else the hub's or what its cache holds; random ones if False.
        output_stride: at which stride a ResNet stops shrinking; 8, 16 or 32.
        seed: of random weights.

    Raises:
        ModelError: unknown name, not a pyramid of convolutional features, or weights that cannot be
            had.
    """
    import timm

    if name.startswith("vit_") or not timm.is_model(name):
        raise ModelError(
            f"unknown backbone {name!r}: give a convolutional network of timm, such as "
            f"'resnet18', 'resnet50' or 'vgg16' (`timm.list_models()` names them all)"
        )
    options: dict[str, Any] = {"features_only": True, "out_indices": tuple(levels)}
    if output_stride != 32:
        options["output_stride"] = output_stride
    if pretrained:
        options["pretrained_cfg_overlay"] = {"state_dict": _weights(name)}
    try:
        with seeded(seed):
            body = timm.create_model(name, pretrained=pretrained, **options)
    except (AssertionError, AttributeError, IndexError, TypeError) as error:
        raise ModelError(
            f"{name} has no levels {tuple(levels)} of convolutional features at an output stride of "
            f"{output_stride}: take a ResNet, such as 'resnet18' or 'resnet50'"
        ) from error
    return Backbone(body)


def _weights(name: str) -> dict[str, torch.Tensor]:
    """The tensors of a network, checked: timm itself passes over those that are missing."""
    import timm

    path = _weights_file(name)
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read as safetensors weights: {error}") from error
    with torch.device("meta"):
        shapes = {
            key: tensor.shape
            for key, tensor in timm.create_model(name, num_classes=0).state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
    wrong = [key for key, shape in shapes.items() if key not in state or state[key].shape != shape]
    if wrong:
        raise ModelError(
            f"{path} does not hold the weights of {name}: {len(wrong)} of {len(shapes)} tensors are "
            f"missing or of another shape, the first is {wrong[0]}"
        )
    return state


def _weights_file(name: str) -> Path:
    """The weights of a network: in the weights folder, or fetched from the hub or its cache."""
    from timm.models import get_pretrained_cfg

    local = weights_folder() / f"{name}.safetensors"
    if local.exists():
        return local
    try:
        card = get_pretrained_cfg(name)
    except RuntimeError:
        card = None
    if card is None or card.hf_hub_id is None:
        raise ModelError(f"there are no published weights of {name}: put some at {local}")
    verbosity = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.ERROR)
    try:
        return Path(hf_hub_download(card.hf_hub_id, HUB_FILE))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the weights of {name} are neither on this machine nor can the hub be reached. On a "
            f"connected machine run `hf download {card.hf_hub_id} {HUB_FILE}` and copy the file to "
            f"{local}"
        ) from error
    finally:
        hub_logging.set_verbosity(verbosity)
