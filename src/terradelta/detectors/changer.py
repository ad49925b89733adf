"""Changer: two dates that swap parts of their features, and fusion that aligns them first.

Fang, Li and Li, "Changer: feature interaction is what you need for change detection", IEEE TGRS, 2023,
the variant ChangerEx. After three of the four stages the dates exchange every other column, channel and
channel, which costs nothing and makes each hear the other. Flow dual-alignment fusion (FDAF) then moves
the features of each date to where the other's are and subtracts. The order of the dates matters.

The published 11.39 M are those of ResNet-18 with three small convolutions for the first large one. Of
these timm has weights for the form (ResNet-D) that also averages where a shortcut shrinks; it is taken,
with as many parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from terradelta.detectors.detector import Detector, enlarged
from terradelta.features.backbones import Backbone, load_backbone

REDUCED, FUSED = 128, 64
CHANNELS, COLUMNS = 1, 3
EXCHANGES = (None, COLUMNS, CHANNELS, CHANNELS)
"""Along which axis [B, C, h, w] the dates exchange after each stage, finest first."""


class Changer(Detector):
    multiple = 32

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__(classes)
        self.backbone = backbone
        self.reduce = nn.ModuleList(_layer(width, REDUCED) for width in backbone.channels)
        self.fuse = _layer(REDUCED * len(backbone.channels), FUSED)
        self.align = DualAlignment(FUSED)
        self.mix = MixFfn(2 * FUSED)
        self.head = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(2 * FUSED, classes, 1))

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        levels = self._interacting(before, after)
        first, second = (self._fused([pair[date] for pair in levels]) for date in (0, 1))
        return enlarged(self.head(self.mix(self.align(first, second))), before.shape[-2:])

    def _interacting(self, first: Tensor, second: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The backbone's levels of both dates, which exchange as they go through it."""
        levels: list[tuple[Tensor, Tensor]] = []
        for name, layer in self.backbone.body.items():
            first, second = layer(first), layer(second)
            if name in self.backbone.body.return_layers:
                axis = EXCHANGES[len(levels)]
                if axis is not None:
                    first, second = exchanged(first, second, axis)
                levels.append((first, second))
        return levels

    def _fused(self, levels: list[Tensor]) -> Tensor:
        """[B, 64, H / 4, W / 4]."""
        size = levels[0].shape[-2:]
        reduced = [
            enlarged(layer(level), size) for layer, level in zip(self.reduce, levels, strict=True)
        ]
        fused: Tensor = self.fuse(torch.cat(reduced, 1))
        return fused


class DualAlignment(nn.Module):
    """Both differences of the dates, each date [B, C, h, w] moved along its own flow: [B, 2 C, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        both = 2 * channels
        self.flow = nn.Sequential(
            nn.Conv2d(both, both, 5, padding=2, groups=both),
            nn.InstanceNorm2d(both),
            nn.GELU(),
            nn.Conv2d(both, 4, 1, bias=False),
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        flows = self.flow(torch.cat([first, second], 1)).chunk(2, 1)
        return torch.cat([moved(first, flows[0]) - second, moved(second, flows[1]) - first], 1)


class MixFfn(nn.Module):
    """Mixes channels, and each with its neighbours, beside a shortcut (SegFormer's Mix-FFN)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = x + self.layers(x)
        return mixed


def changer(*, classes: int = 1, pretrained: bool = False) -> Changer:
    return Changer(load_backbone("resnet18d", pretrained=pretrained, or_random=True), classes)


def exchanged(first: Tensor, second: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Both, with every other slice along the axis, from the first on, in the other's place."""
    shape = [1] * first.dim()
    shape[axis] = -1
    swap = (torch.arange(first.shape[axis], device=first.device) % 2 == 0).view(shape)
    return torch.where(swap, second, first), torch.where(swap, first, second)


def moved(x: Tensor, flow: Tensor) -> Tensor:
    """``x`` [B, C, h, w] read at each position plus its flow, zero outside.

    ``flow`` [B, 2, h, w] is (x, y) in half pixels: as released, it is divided by the size where the frame
    is 2 wide. In float32, for half precision has no subpixels far from the middle.
    """
    height, width = x.shape[-2:]
    still = torch.eye(2, 3, device=x.device).expand(len(x), 2, 3)
    grid = functional.affine_grid(still, [len(x), 1, height, width], align_corners=True)
    step = flow.float().permute(0, 2, 3, 1) / torch.tensor([width, height], device=x.device)
    read: Tensor = functional.grid_sample(x.float(), grid + step, align_corners=True)
    return read


def _layer(given: int, made: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU(inplace=True)
    )
