"""Backbones by name: images in, a pyramid of features out, from timm or, for MiT, transformers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import timm
from huggingface_hub import hf_hub_download
from huggingface_hub.utils import logging as hub_logging
from safetensors import SafetensorError
from timm.models import get_pretrained_cfg
from torch import Tensor, nn
from transformers import SegformerConfig, SegformerModel
from transformers.utils import logging as transformers_logging

from terradelta.errors import ModelError
from terradelta.sam.registry import weights_folder

LAST_FOUR = (-4, -3, -2, -1)
"""Of a ResNet and of a MiT alike, those of 4, 8, 16 and 32 px a cell."""

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
    """float32 [B, 3, H, W] from `normalise` to one [B, C, h, w] per level, finest first.

    ``channels`` and ``strides`` (pixels a cell) are those of the levels; ``body`` is the network.
    """

    body: Any
    channels: tuple[int, ...]
    strides: tuple[int, ...]


def load_backbone(
    name: str,
    levels: Sequence[int] = LAST_FOUR,
    *,
    pretrained: bool = False,
    output_stride: int = 32,
) -> Backbone:
    """A network of timm with convolutional features, or one of ``"mit-b0"`` to ``"mit-b5"``.

    Without ``pretrained`` its weights are random, drawn from torch's generator. With it, they are those
    of ImageNet: ``<name>.safetensors`` (for MiT the folder ``<name>``) in the weights folder, or from the
    cache of the hub or the hub itself; where neither is in reach, one warning is logged and they are
    random.

    Args:
        name: timm's name, with or without the tag of its weights, e.g. ``"resnet18"``.
        levels: as indices into the list of all, finest first. Layers behind the last are left out.
        output_stride: at which stride a ResNet stops shrinking and dilates instead; 8, 16 or 32.

    Raises:
        ModelError: unknown name, no such levels, or a weights file that does not fit.
    """
    if name in _MIT_DEPTHS:
        return _Mit(name, levels, pretrained)
    if not _in_timm(name):
        raise ModelError(
            f"unknown backbone {name!r}: give a network of timm with convolutional features, such as "
            f"'resnet18', or one of {', '.join(_MIT_DEPTHS)}"
        )
    return _Timm(name, levels, pretrained, output_stride)


class _Timm(Backbone):
    def __init__(
        self, name: str, levels: Sequence[int], pretrained: bool, output_stride: int
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"features_only": True, "out_indices": tuple(levels)}
        if output_stride != 32:
            options["output_stride"] = output_stride
        file = _timm_weights(name) if pretrained else None
        if file is not None:
            options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": file}}
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
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise ModelError(f"the weights {file} do not fit {name}: {error}") from error
        info = self.body.feature_info
        self.channels, self.strides = tuple(info.channels()), tuple(info.reduction())

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.body(images))


class _Mit(Backbone):
    """The hierarchical transformer of SegFormer (Xie et al., 2021)."""

    def __init__(self, name: str, levels: Sequence[int], pretrained: bool) -> None:
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
        self.body = _mit_weights(name, config) if pretrained else SegformerModel(config)
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


def _timm_weights(name: str) -> str | None:
    """The file of a network's ImageNet weights on this machine, fetched if need be."""
    local = weights_folder() / f"{name}.safetensors"
    if local.exists():
        return str(local)
    card = get_pretrained_cfg(name)
    if card is None or not card.hf_hub_id:
        raise ModelError(f"timm has no weights of {name}: leave `pretrained` off or take another")
    return _fetched(name, card.hf_hub_id, "model.safetensors")


def _mit_weights(name: str, config: SegformerConfig) -> SegformerModel:
    folder = weights_folder() / name
    source = str(folder) if folder.exists() else f"nvidia/{name}"
    if not folder.exists() and _fetched(name, source, "config.json") is None:
        return SegformerModel(config)
    try:
        with _without_chatter():
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


def _fetched(name: str, repository: str, file: str) -> str | None:
    """A file from the hub's cache, or else the hub; None, and a warning, if it is in reach of neither."""
    for cached in (True, False):
        try:
            with _without_chatter():
                return str(hf_hub_download(repository, file, local_files_only=cached))
        except (OSError, ValueError):
            continue
    log.warning(
        "%s starts from random weights: its ImageNet weights are neither on this machine nor can the "
        "hub be reached",
        name,
    )
    return None


@contextmanager
def _without_chatter() -> Iterator[None]:
    """What these libraries would warn of is said here, in one line."""
    levels = [library.get_verbosity() for library in (hub_logging, transformers_logging)]
    hub_logging.set_verbosity(logging.ERROR)
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        hub_logging.set_verbosity(levels[0])
        transformers_logging.set_verbosity(levels[1])
