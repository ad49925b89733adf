"""ChangeFormer: one hierarchical transformer for both dates, and a decoder of linear layers.

Bandara and Patel, "A transformer-based Siamese network for change detection", IGARSS 2022. Their own
network (41 M) puts a difference module of convolutions at each scale and a convolutional decoder behind.
What is trained and compared under the name with MiT-B1, 13.94 M, is the simpler form of Open-CD (Li et
al., 2024), and the one here: SegFormer whose decoder takes both dates' features side by side at each
scale. The order of the dates matters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from terradelta.detectors.detector import Detector, enlarged
from terradelta.features.backbones import Backbone, load_backbone

WIDTH = 256


class ChangeFormer(Detector):
    multiple = 32

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__(classes)
        self.backbone = backbone
        self.reduce = nn.ModuleList(_layer(2 * width, WIDTH) for width in backbone.channels)
        self.fuse = _layer(WIDTH * len(backbone.channels), WIDTH)
        self.head = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(WIDTH, classes, 1))

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        levels = self.backbone(torch.cat([before, after]))
        size = levels[0].shape[-2:]
        reduced = [
            enlarged(layer(torch.cat(level.chunk(2), 1)), size)
            for layer, level in zip(self.reduce, levels, strict=True)
        ]
        return enlarged(self.head(self.fuse(torch.cat(reduced, 1))), before.shape[-2:])


def changeformer(*, classes: int = 1, pretrained: bool = False) -> ChangeFormer:
    return ChangeFormer(load_backbone("mit-b1", pretrained=pretrained, or_random=True), classes)


def _layer(given: int, made: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, 1, bias=False), nn.BatchNorm2d(made), nn.ReLU(inplace=True)
    )
