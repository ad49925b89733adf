"""TinyCD: the first layers of a network for both dates, mixed pixel by pixel, and masks on the way up.

Codegoni, Lombardi and Ferrari, "TinyCD: a (not so) deep learning model for change detection", Neural
Computing and Applications, 2023. The stem and three stages of EfficientNet-B4. A mixing block interleaves
the channels of the dates, so that each of its filters sees one channel of both; at every scale but the
coarsest, and on the images themselves, a pixelwise network makes a mask of it (MAMB) that multiplies what
comes from the scale below. The order of the dates matters.

Its released code enlarges to fixed sizes, those of images of 256 px; here, to twice the size.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from terradelta.detectors.detector import Detector, enlarged
from terradelta.features.backbones import Backbone, load_backbone

STAGES = (0, 1, 2)
"""Of EfficientNet-B4: 24, 32 and 56 channels at 2, 4 and 8 px a cell."""
MASKS = ((3, 10, 5, 1), (24, 12, 6, 1), (32, 16, 8, 1))
"""Channels of the pixelwise networks that make the masks, finest first."""
DECODER = ((64, 32), (64, 64), (56, 64))
"""Channels in and out of the layers that go upwards, finest first."""


class TinyCd(Detector):
    multiple = (
        16  # an eighth of the side must be 2 or more: one cell has no variance to normalise by
    )

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__(classes)
        self.backbone = backbone
        self.masks = nn.ModuleList(
            nn.Sequential(Mixing(channels[0]), *_pixelwise(channels)) for channels in MASKS
        )
        self.mix = Mixing(backbone.channels[-1])
        self.decoder = nn.ModuleList(Guided(given, made) for given, made in DECODER)
        self.head = nn.Sequential(*_pixelwise((32, 16, 8)), nn.Conv2d(8, classes, 1))

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        dates = zip([before, *self.backbone(before)], [after, *self.backbone(after)], strict=True)
        *levels, coarsest = (interleaved(*pair) for pair in dates)
        x = self.mix(coarsest)
        for level, mask, layer in reversed(
            list(zip(levels, self.masks, self.decoder, strict=True))
        ):
            x = layer(x, mask(level))
        answer: Tensor = self.head(x)
        return answer


class Mixing(nn.Sequential):
    """Interleaved dates [B, 2 C, h, w] to [B, C, h, w]: each filter sees one channel of both."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(2 * channels, channels, 3, padding=1, groups=channels),
            nn.PReLU(),
            nn.InstanceNorm2d(channels),
        )


class Guided(nn.Module):
    """``x`` [B, C, h, w] enlarged to the mask [B, 1, 2 h, 2 w], multiplied by it and filtered."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(given, given, 3, padding=1, groups=given),
            nn.PReLU(),
            nn.InstanceNorm2d(given),
            nn.Conv2d(given, made, 1),
            nn.PReLU(),
            nn.InstanceNorm2d(made),
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        guided: Tensor = self.layers(enlarged(x, mask.shape[-2:]) * mask)
        return guided


def tinycd(*, classes: int = 1, pretrained: bool = False) -> TinyCd:
    backbone = load_backbone("efficientnet_b4", STAGES, pretrained=pretrained, or_random=True)
    del backbone.body.blocks[len(STAGES) :]  # timm keeps what lies behind the last level
    return TinyCd(backbone, classes)


def interleaved(first: Tensor, second: Tensor) -> Tensor:
    """Two [B, C, h, w] to [B, 2 C, h, w], channel by channel."""
    return torch.stack([first, second], 2).flatten(1, 2)


def _pixelwise(channels: tuple[int, ...]) -> list[nn.Module]:
    """PW-MLP: 1 x 1 convolutions from each number of channels to the next."""
    layers: list[nn.Module] = []
    for given, made in pairwise(channels):
        layers += [nn.Conv2d(given, made, 1), nn.PReLU()]
    return layers
