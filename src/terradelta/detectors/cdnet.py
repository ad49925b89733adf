"""CDNet: a U-Net on ResNet-18 for each date, and a small classifier of how the two differ.

Chen, Li and Shi, "Adversarial instance augmentation for building change detection in remote sensing
images", IEEE TGRS, 2021: the detector that the augmentation was shown on. Its code was never released;
what is published elsewhere is its backbone, ResNet-18, and 14.3 M parameters (Zheng et al., 2024, table
5). That is the count of the usual U-Net decoder of 256, 128, 64, 32 and 16 channels on ResNet-18 (14.33
M), which this is. The dates meet as in the same authors' BiT without its transformer: absolute
difference of the features, then two convolutions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from terradelta.detectors.detector import Detector
from terradelta.features.backbones import Backbone, load_backbone

DECODER = (256, 128, 64, 32, 16)
ALL_LEVELS = (-5, -4, -3, -2, -1)


class CdNet(Detector):
    multiple = 32
    symmetric = True

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__(classes)
        self.backbone = backbone
        skips = (*reversed(backbone.channels[:-1]), 0)
        given = (backbone.channels[-1], *DECODER[:-1])
        self.decoder = nn.ModuleList(
            nn.Sequential(_layer(deep + skip, made), _layer(made, made))
            for deep, skip, made in zip(given, skips, DECODER, strict=True)
        )
        self.head = nn.Sequential(
            _layer(DECODER[-1], DECODER[-1]), nn.Conv2d(DECODER[-1], classes, 3, padding=1)
        )

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        answer: Tensor = self.head((self._features(before) - self._features(after)).abs())
        return answer

    def _features(self, images: Tensor) -> Tensor:
        """[B, 16, H, W]."""
        *skips, x = self.backbone(images)
        for stage in self.decoder:
            x = functional.interpolate(x, scale_factor=2.0)
            x = stage(torch.cat([x, skips.pop()], 1) if skips else x)
        features: Tensor = x
        return features


def cdnet(*, classes: int = 1, pretrained: bool = False) -> CdNet:
    return CdNet(
        load_backbone("resnet18", ALL_LEVELS, pretrained=pretrained, or_random=True), classes
    )


def _layer(given: int, made: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, 3, padding=1, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU(inplace=True),
    )
