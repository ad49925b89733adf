"""BiT: both dates summed up in a few words, which talk to each other and then to every pixel.

Chen, Qi and Shi, "Remote sensing image change detection with transformers", IEEE TGRS, 2021,
section III. A ResNet-18 without its last stage, kept at an eighth of the size; four semantic tokens for
each date, a transformer encoder over the eight, a decoder in which every pixel asks the tokens of its
date, and a small classifier of the absolute difference. The tokens' learned positions tell the dates
apart: their order matters.

Published are 3.55 M parameters in the paper and 11.9 M elsewhere. Both count layers of the released
code that no image ever passes: the classifier of ResNet-18 (0.51 M) and, in the latter, its last stage
(8.39 M). They are not here; the rest, 3.04 M, is all. Where the paper has a pointwise convolution to 32
channels, the released code, whose counts these are, has 3 x 3.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from terradelta.detectors.detector import Detector, enlarged
from terradelta.features.backbones import Backbone, load_backbone

CHANNELS, TOKENS, HEADS = 32, 4, 8
ENCODER = {"depth": 1, "width": 64}
DECODER = {"depth": 8, "width": 8}
"""Layers, and channels of each head."""


class Bit(Detector):
    multiple = 8

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__(classes)
        self.backbone = backbone
        self.reduce = nn.Conv2d(backbone.channels[-1], CHANNELS, 3, padding=1)
        self.tokenizer = nn.Conv2d(CHANNELS, TOKENS, 1, bias=False)
        self.position = nn.Parameter(torch.randn(1, 2 * TOKENS, CHANNELS))
        self.encoder = nn.ModuleList(Layer(ENCODER["width"]) for _ in range(ENCODER["depth"]))
        self.decoder = nn.ModuleList(Layer(DECODER["width"]) for _ in range(DECODER["depth"]))
        self.head = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
            nn.BatchNorm2d(CHANNELS),
            nn.ReLU(inplace=True),
            nn.Conv2d(CHANNELS, classes, 3, padding=1),
        )

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        dates = [self._features(images) for images in (before, after)]
        tokens = torch.cat([self._tokens(features) for features in dates], 1) + self.position
        for layer in self.encoder:
            tokens = layer(tokens, tokens)
        first, second = (
            self._read(features, words)
            for features, words in zip(dates, tokens.chunk(2, 1), strict=True)
        )
        answer: Tensor = self.head(enlarged((first - second).abs(), before.shape[-2:]))
        return answer

    def _features(self, images: Tensor) -> Tensor:
        """[B, 32, H / 4, W / 4]."""
        (features,) = self.backbone(images)
        features = nn.functional.interpolate(features, scale_factor=2.0)
        reduced: Tensor = self.reduce(features)
        return reduced

    def _tokens(self, features: Tensor) -> Tensor:
        """[B, 4, 32]: means over the image, each with its own weights (equation 1)."""
        weights: Tensor = self.tokenizer(features).flatten(2).softmax(-1)
        return weights @ features.flatten(2).mT

    def _read(self, features: Tensor, tokens: Tensor) -> Tensor:
        pixels = features.flatten(2).mT
        for layer in self.decoder:
            pixels = layer(pixels, tokens)
        return pixels.mT.reshape(features.shape)


class Layer(nn.Module):
    """Attention of ``x`` [B, n, 32] to ``words`` [B, m, 32], then two linear layers.

    Both after a normalisation. Products are scaled by the root of the 32 channels, as released, not of
    a head's.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = HEADS * width
        self.norm = nn.LayerNorm(CHANNELS)
        self.query, self.key, self.value = (
            nn.Linear(CHANNELS, inner, bias=False) for _ in range(3)
        )
        self.out = nn.Linear(inner, CHANNELS)
        self.feed = nn.Sequential(
            nn.LayerNorm(CHANNELS),
            nn.Linear(CHANNELS, 2 * CHANNELS),
            nn.GELU(),
            nn.Linear(2 * CHANNELS, CHANNELS),
        )

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        asking, asked = self.norm(x), self.norm(words)
        query, key, value = (
            layer(y).unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for layer, y in ((self.query, asking), (self.key, asked), (self.value, asked))
        )
        heard = nn.functional.scaled_dot_product_attention(query, key, value, scale=CHANNELS**-0.5)
        x = x + self.out(heard.transpose(1, 2).flatten(2))
        fed: Tensor = self.feed(x)
        return x + fed


def bit(*, classes: int = 1, pretrained: bool = False) -> Bit:
    backbone = load_backbone(
        "resnet18", (-2,), pretrained=pretrained, or_random=True, output_stride=8
    )
    _undilate(backbone.body["layer3"])
    return Bit(backbone, classes)


def _undilate(stage: Any) -> None:
    """The paper replaces the stride by 1 and nothing else."""
    for block in stage:
        for layer in (block.conv1, block.conv2):
            layer.dilation = layer.padding = (1, 1)
