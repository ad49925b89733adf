"""FC-EF, FC-Siam-conc and FC-Siam-diff: the first fully convolutional networks for change.

Daudt, Le Saux and Boulch, "Fully convolutional siamese networks for change detection", ICIP 2018,
figure 2. One U-Net of four scales; the three differ in where the dates meet:

* early fusion: one encoder that sees six channels;
* concatenation: one encoder for each date, and both dates' features in every skip connection;
* difference: the absolute difference of them instead.

What enters the deepest layer of the decoder, the figure leaves open. The released code takes the later
date's features alone; so does FC-Siam-conc here. In FC-Siam-diff that would make the answer depend on the
order of the dates, against the paper's idea: here it is their difference as well.

Stride-1 transposed convolutions of the released decoder are written as the convolutions that they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from terradelta.detectors.detector import Detector

Fusion = Literal["early", "concatenation", "difference"]

WIDTHS = (16, 32, 64, 128)
CONVOLUTIONS = (2, 2, 3, 3)
"""Of each scale, finest first."""
DROPOUT = 0.2


class FcSiam(Detector):
    multiple = 16

    def __init__(self, fusion: Fusion, classes: int) -> None:
        super().__init__(classes)
        self.fusion = fusion
        self.symmetric = fusion == "difference"
        channels = (6 if fusion == "early" else 3, *WIDTHS)
        self.encoder = nn.ModuleList(
            _stage([channels[scale], *[width] * count])
            for scale, (width, count) in enumerate(zip(WIDTHS, CONVOLUTIONS, strict=True))
        )
        skips = 2 if fusion == "concatenation" else 1
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(width, width, 3, stride=2, padding=1, output_padding=1)
            for width in WIDTHS
        )
        self.decoder = nn.ModuleList(
            _stage([(1 + skips) * width, *[width] * (count - 1), WIDTHS[scale - 1]])
            for scale, (width, count) in enumerate(zip(WIDTHS, CONVOLUTIONS, strict=True))
            if scale > 0
        )
        self.head = nn.Sequential(
            _stage([(1 + skips) * WIDTHS[0], WIDTHS[0]]),
            nn.Conv2d(WIDTHS[0], classes, 3, padding=1),
        )

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        skips, x = self._fused(before, after)
        for scale in (3, 2, 1):
            x = self.decoder[scale - 1](torch.cat([self.enlarge[scale](x), skips[scale]], 1))
        answer: Tensor = self.head(torch.cat([self.enlarge[0](x), skips[0]], 1))
        return answer

    def _fused(self, before: Tensor, after: Tensor) -> tuple[list[Tensor], Tensor]:
        """What the skip connections hand over, finest first, and what enters the decoder."""
        if self.fusion == "early":
            return self._encoded(torch.cat([before, after], 1))
        (first, deep_first), (second, deep_second) = self._encoded(before), self._encoded(after)
        pairs = list(zip(first, second, strict=True))
        if self.fusion == "difference":
            return [(a - b).abs() for a, b in pairs], (deep_first - deep_second).abs()
        return [torch.cat(pair, 1) for pair in pairs], deep_second

    def _encoded(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        features = []
        for stage in self.encoder:
            features.append(stage(x))
            x = functional.max_pool2d(features[-1], 2)
        return features, x


def fc_ef(*, classes: int = 1) -> FcSiam:
    return FcSiam("early", classes)


def fc_siam_conc(*, classes: int = 1) -> FcSiam:
    return FcSiam("concatenation", classes)


def fc_siam_diff(*, classes: int = 1) -> FcSiam:
    return FcSiam("difference", classes)


def _stage(channels: Sequence[int]) -> nn.Sequential:
    """A convolution from each number of channels to the next, normalised, with whole channels dropped."""
    layers: list[nn.Module] = []
    for given, made in pairwise(channels):
        layers += [
            nn.Conv2d(given, made, 3, padding=1),
            nn.BatchNorm2d(made),
            nn.ReLU(inplace=True),
            nn.Dropout2d(DROPOUT),
        ]
    return nn.Sequential(*layers)
