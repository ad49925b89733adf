"""Backbones by name: images in, a pyramid of features out, from timm or, for MiT, transformers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import hf_hub_download
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import get_pretrained_cfg
from torch import Tensor, nn
from transformers import SegformerConfig, SegformerModel

from terradelta.errors import ModelError
from terradelta.sam.quiet import quiet_libraries
from terradelta.sam.registry import weights_folder

LAST_FOUR = (-4, -3, -2, -1)
"""Of a ResNet and of a MiT alike, those of 4, 8, 16 and 32 px a cell."""

IMAGENET_COLOURS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of red, green and blue in [0, 1]."""

log = logging.getLogger(__name__)

_MIT_DEPTHS = {
    "mit-b0": (2, 2, 2, 2),
    "mit-b1": (2, 2, 2, 2),
    "mit-b2": (3, 4, 6, 3),
    "mit-b3": (3, 4, 18, 3),
    "mit-b4": (3, 8, 27, 3),
    "mit-b5": (3, 6, 40, 3),
}


class Backbone(nn.Module):
    """float32 [B, 3, H, W], colours from `prepared`, to one [B, C, h, w] per level, finest first.

    ``channels`` and ``strides`` (pixels a cell) are those of the levels; ``body`` is the network.
    """

    body: Any
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    colours: tuple[Sequence[float], Sequence[float]] = IMAGENET_COLOURS

    def prepared(self, images: Tensor) -> Tensor:
        """Images in [0, 255] as the network was trained on: less the mean, over the deviation."""
        return normalise(images, *self.colours)


def normalise(
    images: Tensor,
    mean: Sequence[float] = IMAGENET_COLOURS[0],
    deviation: Sequence[float] = IMAGENET_COLOURS[1],
) -> Tensor:
    """Images [..., 3, H, W] in [0, 255] to float32 of that mean and deviation, on the same device."""
    centre, scale = (
        torch.tensor(of, dtype=torch.float32, device=images.device).view(3, 1, 1)
        for of in (mean, deviation)
    )
    return (images / 255 - centre) / scale


def load_backbone(
    name: str,
    levels: Sequence[int] = LAST_FOUR,
    *,
    pretrained: bool = False,
    or_random: bool = False,
    output_stride: int = 32,
) -> Backbone:
    """A network of timm with convolutional features, or one of ``"mit-b0"`` to ``"mit-b5"``.

    Without ``pretrained`` its weights are random, drawn from torch's generator. With it, they are those
    of ImageNet: ``<name>.safetensors`` (for MiT the folder ``<name>``) in the weights folder,
    ``$TERRADELTA_WEIGHTS``, or from the cache of the hub or the hub itself.

    Args:
        name: timm's name, with or without the tag of its weights, e.g. ``"resnet18"``.
        levels: as indices into the list of all, finest first. Layers behind the last are left out.
        or_random: where pretrained weights are not in reach, log one warning and take random ones.
        output_stride: at which stride a ResNet stops shrinking and dilates instead; 8, 16 or 32.

    Raises:
        ModelError: unknown name, no such levels, or weights that do not fit or cannot be had.
    """
    if name in _MIT_DEPTHS:
        return _Mit(name, levels, pretrained, or_random)
    if not _in_timm(name):
        raise ModelError(
            f"unknown backbone {name!r}: give a network of timm with convolutional features, such as "
            f"'resnet18', or one of {', '.join(_MIT_DEPTHS)}"
        )
    return _Timm(
        name, levels, _timm_weights(name, or_random) if pretrained else None, output_stride
    )


class _Timm(Backbone):
    def __init__(
        self,
        name: str,
        levels: Sequence[int],
        weights: dict[str, Tensor] | None,
        output_stride: int,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"features_only": True, "out_indices": tuple(levels)}
        if output_stride != 32:
            options["output_stride"] = output_stride
        if weights is not None:
            options |= {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": weights}}
        try:
            self.body = timm.create_model(name, **options)
        except (
            AssertionError,
            AttributeError,
            IndexError,
            NotImplementedError,
            TypeError,
        ) as error:
            raise ModelError(
                f"{name} has no levels {tuple(levels)} of convolutional features at an output stride "
                f"of {output_stride}: take a ResNet, such as 'resnet18'"
            ) from error
        info, trained = self.body.feature_info, self.body.pretrained_cfg
        self.channels, self.strides = tuple(info.channels()), tuple(info.reduction())
        self.colours = trained["mean"], trained["std"]

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.body(images))


class _Mit(Backbone):
    """The hierarchical transformer of SegFormer (Xie et al., 2021)."""

    def __init__(self, name: str, levels: Sequence[int], pretrained: bool, or_random: bool) -> None:
        super().__init__()
        stages = range(4)
        try:
            self._levels = [stages[level] for level in levels]
        except IndexError as error:
            raise ModelError(f"{name} has no levels {tuple(levels)}: it has 4") from error
        count = max(self._levels) + 1
        first = 32 if name == "mit-b0" else 64
        widths = [first, 2 * first, 5 * first, 8 * first][:count]
        config = SegformerConfig(
            num_encoder_blocks=count,
            depths=list(_MIT_DEPTHS[name])[:count],
            hidden_sizes=widths,
            sr_ratios=[8, 4, 2, 1][:count],
            num_attention_heads=[1, 2, 5, 8][:count],
            patch_sizes=[7, 3, 3, 3][:count],
            strides=[4, 2, 2, 2][:count],
            mlp_ratios=[4] * count,
        )
        trained = _mit_weights(name, config, or_random) if pretrained else None
        self.body = trained or SegformerModel(config)
        self.channels = tuple(widths[level] for level in self._levels)
        self.strides = tuple(4 << level for level in self._levels)

    def forward(self, images: Tensor) -> list[Tensor]:
        stages = self.body(images, output_hidden_states=True).hidden_states
        return [stages[level] for level in self._levels]


def _in_timm(name: str) -> bool:
    if not timm.is_model(name):
        return False
    try:
        get_pretrained_cfg(name)
    except RuntimeError:  # of a tag that there is not
        return False
    return True


def _timm_weights(name: str, or_random: bool) -> dict[str, Tensor] | None:
    """The ImageNet tensors of a network, checked: timm itself passes over those that are missing."""
    path: Path | None = weights_folder() / f"{name}.safetensors"
    if path is not None and not path.exists():
        card = get_pretrained_cfg(name)
        if card is None or not card.hf_hub_id:
            raise ModelError(f"there are no published weights of {name}: put some at {path}")
        path = _fetched(name, card.hf_hub_id, "model.safetensors", path, or_random)
    if path is None:
        return None
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


def _mit_weights(name: str, config: SegformerConfig, or_random: bool) -> SegformerModel | None:
    folder = weights_folder() / name
    source = str(folder) if folder.exists() else f"nvidia/{name}"
    if not folder.exists() and not _fetched(name, source, "config.json", folder, or_random):
        return None
    try:
        with quiet_libraries():
            model, report = SegformerModel.from_pretrained(
                source, config=config, output_loading_info=True
            )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise ModelError(f"the weights of {source} do not fit {name}: {error}") from error
    if report["missing_keys"]:
        raise ModelError(
            f"the weights of {source} do not fit {name}: {min(report['missing_keys'])} is missing"
        )
    return model


def _fetched(name: str, repository: str, file: str, local: Path, or_random: bool) -> Path | None:
    """A file from the hub's cache, or else the hub; None, and a warning, if it may be missing.

    ``local`` is where it could have been.
    """
    for cached in (True, False):
        try:
            with quiet_libraries():
                return Path(hf_hub_download(repository, file, local_files_only=cached))
        except (OSError, ValueError):
            continue
    if not or_random:
        what = file if local.suffix else f"--local-dir {local.name}"
        raise ModelError(
            f"the weights of {name} are neither on this machine nor can the hub be reached. On a "
            f"connected machine run `hf download {repository} {what}` and copy what it gets to {local}"
        )
    log.warning(
        "%s starts from random weights: its ImageNet weights are neither on this machine nor can the "
        "hub be reached",
        name,
    )
    return None
