"""LightCDNet: the dates fused at once, under supervision of its own, and a ShuffleNet from there on.

Xing, Jiang, Xiang, Yan, Song and Mo, "LightCDNet: lightweight change detection network based on VHR
images", IEEE GRSL, 2023. A shared stem; the deep supervised fusion module (DSFM), from which a second
answer is compared with the label, with weight 0.4; three stages of shuffle units, each closed by
criss-cross attention twice; a feature pyramid. Published in three sizes, of 0.35, 1.32 and 2.82 M; small
is the one that Open-CD has as its model. The order of the dates matters.

In the released code the list of levels forgets that attention stands between the stages: two units and
the attention of the last stage feed nothing. Here a stage's level is what leaves its attention, and every
parameter that is counted is used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from terradelta.detectors.detector import Detector, enlarged
from terradelta.errors import UsageError

STEM, PYRAMID = 24, 48
UNITS = (4, 8, 4)
"""Of each stage."""
SIZES = {
    "small": (4, (48, 96, 192)),
    "base": (8, (116, 232, 464)),
    "large": (16, (176, 352, 704)),
}
"""Shuffle units in the fusion, and channels of the stages."""
AUXILIARY = 0.4


class LightCdNet(Detector):
    multiple = 16

    def __init__(self, size: str, classes: int) -> None:
        super().__init__(classes)
        if size not in SIZES:
            raise UsageError(f"unknown size {size!r} of lightcdnet: choose from {', '.join(SIZES)}")
        units, widths = SIZES[size]
        self.stem = nn.Sequential(
            nn.Conv2d(3, STEM, 3, stride=2, padding=1, bias=False), ChannelNorm(STEM), nn.GELU()
        )
        self.fusion = Fusion(units)
        self.stages = nn.ModuleList(
            nn.Sequential(
                ShuffleDown(given, made),
                *(Shuffle(made) for _ in range(count - 1)),
                CrissCross(made),
            )
            for given, made, count in zip((STEM, *widths[:-1]), widths, UNITS, strict=True)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, PYRAMID, 1) for width in (STEM, *widths))
        self.out = nn.ModuleList(
            nn.Sequential(nn.Conv2d(PYRAMID, PYRAMID, 3, padding=1), _layer(PYRAMID, PYRAMID))
            for _ in self.lateral
        )
        self.head = nn.Conv2d(PYRAMID, classes, 1)
        self.auxiliary = nn.Sequential(_layer(STEM, STEM, 3), nn.Conv2d(STEM, classes, 1))

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        return self._decoded(self._fused(before, after))

    def weighted_logits(self, before: Tensor, after: Tensor) -> list[tuple[Tensor, float]]:
        fused = self._fused(before, after)
        early = enlarged(self.auxiliary(fused), before.shape[-2:])
        return [(self._decoded(fused), 1.0), (early, AUXILIARY)]

    def _fused(self, before: Tensor, after: Tensor) -> Tensor:
        """[B, 24, H / 2, W / 2]."""
        fused: Tensor = self.fusion(self.stem(before), self.stem(after))
        return fused

    def _decoded(self, fused: Tensor) -> Tensor:
        levels = [fused]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        merged = [layer(level) for layer, level in zip(self.lateral, levels, strict=True)]
        for i in range(len(merged) - 2, -1, -1):
            merged[i] = merged[i] + functional.interpolate(merged[i + 1], scale_factor=2.0)
        height, width = fused.shape[-2:]
        answers = [
            enlarged(layer(level), (height, width))
            for layer, level in zip(self.out, merged, strict=True)
        ]
        return enlarged(self.head(torch.stack(answers).sum(0)), (2 * height, 2 * width))


class Fusion(nn.Module):
    """DSFM: each date through shuffle units, weighed by attention over both, then joined."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.single = nn.Sequential(
            _layer(STEM, 4 * STEM),
            *(Shuffle(4 * STEM) for _ in range(units)),
            _layer(4 * STEM, STEM),
        )
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), _layer(2 * STEM, 8), nn.Conv2d(8, 2 * STEM, 1, bias=False)
        )
        self.join = _layer(2 * STEM, STEM)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        both = torch.cat([date + self.single(date) for date in (first, second)], 1)
        joined: Tensor = self.join(shuffled(both * (1 + self.weigh(both).sigmoid())))
        return joined


class Shuffle(nn.Module):
    """ShuffleNet v2's unit: half of the channels pass, half are filtered, and the two are interleaved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = _branch(channels // 2, channels // 2, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        kept, filtered = x.chunk(2, 1)
        return shuffled(torch.cat([kept, self.branch(filtered)], 1))


class ShuffleDown(nn.Module):
    """ShuffleNet v2's unit that halves the size: both branches see all channels."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.short = nn.Sequential(*_depthwise(given, stride=2), _layer(given, made // 2))
        self.branch = _branch(given, made // 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return shuffled(torch.cat([self.short(x), self.branch(x)], 1))


class CrissCross(nn.Module):
    """Each position attends to those of its row and column, twice, so that all reach all.

    Huang et al., "CCNet: criss-cross attention for semantic segmentation", ICCV 2019. Starts as identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = (nn.Conv2d(channels, channels // 8, 1) for _ in range(2))
        self.value = nn.Conv2d(channels, channels, 1)
        self.scale = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self._attended(self._attended(x))

    def _attended(self, x: Tensor) -> Tensor:
        query, key, value = self.query(x), self.key(x), self.value(x)
        itself = torch.eye(x.shape[2], dtype=torch.bool, device=x.device)
        down = torch.einsum("bchw,bcgw->bhwg", query, key)
        down = down.masked_fill(itself[None, :, None], -torch.inf)  # the row has it already
        along = torch.einsum("bchw,bchv->bhwv", query, key)
        weights = torch.cat([down, along], -1).softmax(-1)
        heard = torch.einsum("bhwg,bcgw->bchw", weights[..., : x.shape[2]], value)
        heard = heard + torch.einsum("bhwv,bchv->bchw", weights[..., x.shape[2] :], value)
        attended: Tensor = x + self.scale * heard
        return attended


class ChannelNorm(nn.LayerNorm):
    """Over the channels of each position of [B, C, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        normalised: Tensor = super().forward(x.movedim(1, -1)).movedim(-1, 1)
        return normalised


def lightcdnet(*, classes: int = 1, size: str = "small") -> LightCdNet:
    return LightCdNet(size, classes)


def shuffled(x: Tensor) -> Tensor:
    """The two halves of the channels of [B, C, h, w], interleaved."""
    interleaved: Tensor = x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)
    return interleaved


def _branch(given: int, made: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_layer(given, made), *_depthwise(made, stride), _layer(made, made))


def _depthwise(channels: int, stride: int) -> tuple[nn.Module, ...]:
    filters = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
    return filters, nn.BatchNorm2d(channels)


def _layer(given: int, made: int, side: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, side, padding=side // 2, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU(inplace=True),
    )
