"""STANet: changed where two dates' features, each of which has seen both dates, lie far apart.

Chen and Shi, "A spatial-temporal attention-based method and a new dataset for remote sensing image
change detection", Remote Sensing 12 (10), 2020, section 3, with the pyramid attention (PAM). A ResNet-18
whose last stage has, in the released code, a third block and growing dilation; a decoder to 64 channels
at a quarter of the size; attention among all positions of both dates, within the cells of partitions
into 1 x 1, 2 x 2, 4 x 4 and 8 x 8.

The network gives a distance D, and its loss holds D near 0 where nothing changed and above the margin
m = 2 where something did. The released code squares both, as contrastive losses do, where the paper's
equation does not; so does this. Changed is D > m / 2 = 1. As logits: the difference of the two costs,
``D^2 - max(0, m - D)^2``, which is 4 (D - 1) up to the margin.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models.resnet import BasicBlock
from torch import Tensor, nn
from torch.nn import functional

from terradelta.detectors.detector import Criterion, Detector, enlarged
from terradelta.errors import UsageError
from terradelta.features.backbones import Backbone, load_backbone

FEATURES, REDUCED, MIXED = 64, 96, 256
PARTITIONS = (1, 2, 4, 8)
MARGIN = 2.0
PRODUCTS = 2**24
"""Of queries and keys at a time: without gradients, memory does not grow with their number."""
TINY = 1e-6
"""Under the root of a distance, whose slope is infinite at 0."""


class StaNet(Detector):
    multiple = 32
    symmetric = True

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__(classes)
        if classes != 1:
            raise UsageError(
                "stanet tells change from no change by one distance: classes must be 1"
            )
        self.backbone = backbone
        self.reduce = nn.ModuleList(_layer(width, REDUCED, 1) for width in backbone.channels)
        self.mix = nn.Sequential(
            _layer(REDUCED * len(backbone.channels), MIXED, 3),
            nn.Dropout(0.5),
            _layer(MIXED, FEATURES, 1),
        )
        self.attention = nn.ModuleList(Attention(FEATURES, cells) for cells in PARTITIONS)
        self.join = nn.Conv2d(FEATURES * len(PARTITIONS), FEATURES, 1, bias=False)

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        distance = self.distance(before, after)
        return distance.square() - (MARGIN - distance).clamp(min=0).square()

    def loss(
        self, before: Tensor, after: Tensor, label: Tensor, criterion: Criterion | None
    ) -> Tensor:
        """Without a criterion: the batch-balanced contrastive loss (section 3.3)."""
        if criterion is not None:
            return super().loss(before, after, label, criterion)
        distance = self.distance(*self._padded(before, after))[:, 0]
        return contrastive_loss(distance[..., : label.shape[-2], : label.shape[-1]], label)

    def distance(self, before: Tensor, after: Tensor) -> Tensor:
        """float32 [B, 1, H, W], of images with sides that are multiples of 32."""
        both = torch.stack([self._features(before), self._features(after)], 2)
        attended = torch.cat([attention(both) for attention in self.attention], 1)
        first, second = (self.join(date).float() for date in attended.unbind(2))
        squared = (first - second).square().sum(1, keepdim=True)
        return enlarged((squared + TINY).sqrt(), before.shape[-2:])

    def _features(self, images: Tensor) -> Tensor:
        levels = self.backbone(images)
        size = levels[0].shape[-2:]
        reduced = [
            enlarged(layer(level), size) for layer, level in zip(self.reduce, levels, strict=True)
        ]
        features: Tensor = self.mix(torch.cat(reduced, 1))
        return features


class Attention(nn.Module):
    """Each position attends to those of both dates in its cell of a ``cells`` x ``cells`` partition.

    [B, C, 2, h, w] to the same; h and w are multiples of ``cells``. Keys and queries have C / 8 channels.
    """

    def __init__(self, channels: int, cells: int) -> None:
        super().__init__()
        self.cells, self.inner = cells, channels // 8
        self.key, self.query = (
            nn.Sequential(nn.Conv3d(channels, self.inner, 1), nn.BatchNorm3d(self.inner))
            for _ in range(2)
        )
        self.value = nn.Conv3d(channels, channels, 1)

    def forward(self, both: Tensor) -> Tensor:
        query, key, value = (
            self._in_cells(layer(both)) for layer in (self.query, self.key, self.value)
        )
        rows = max(1, PRODUCTS // key[..., 0].numel())
        attended = [
            functional.scaled_dot_product_attention(part, key, value, scale=self.inner**-0.5)
            for part in query.split(rows, -2)
        ]
        return self._out_of_cells(torch.cat(attended, -2), both)

    def _in_cells(self, x: Tensor) -> Tensor:
        """[B, C, 2, h, w] to [B, cells * cells, positions, C]."""
        batch, channels, _, height, width = x.shape
        n = self.cells
        x = x.reshape(batch, channels, 2, n, height // n, n, width // n)
        return x.permute(0, 3, 5, 2, 4, 6, 1).reshape(batch, n * n, -1, channels)

    def _out_of_cells(self, x: Tensor, like: Tensor) -> Tensor:
        batch, channels, _, height, width = like.shape
        n = self.cells
        x = x.reshape(batch, n, n, 2, height // n, width // n, channels)
        return x.permute(0, 6, 3, 1, 4, 2, 5).reshape(like.shape)


def contrastive_loss(distance: Tensor, label: Tensor) -> Tensor:
    """Mean cost of the unchanged pixels and of the changed ones, each half of the loss.

    Args:
        distance: float32 [B, H, W].
        label: float32 [B, H, W], 0 unchanged, 1 changed, or between where it is soft.
    """
    near = (1 - label) * distance.square()
    far = label * (MARGIN - distance).clamp(min=0).square()
    unchanged, changed = (1 - label).sum().clamp(min=1), label.sum().clamp(min=1)
    return (near.sum() / unchanged + far.sum() / changed) / 2


def stanet(*, classes: int = 1, pretrained: bool = False) -> StaNet:
    backbone = load_backbone("resnet18", pretrained=pretrained, or_random=True)
    _dilate(backbone.body["layer4"])
    return StaNet(backbone, classes)


def _dilate(stage: Any) -> None:
    """A third block, which starts as the identity; dilations of 1, 2 and 4 in first convolutions."""
    channels = stage[-1].conv2.out_channels
    third = BasicBlock(channels, channels)
    for layer in (third.conv1, third.conv2):
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    third.zero_init_last()
    stage.append(third)
    for block, dilation in zip(stage, (1, 2, 4), strict=True):
        block.conv1.dilation = block.conv1.padding = (dilation, dilation)


def _layer(given: int, made: int, side: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, side, padding=side // 2, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU(inplace=True),
    )
