"""SNUNet: a nested U-Net in which every level hears both dates, and attention over its four answers.

Fang, Li, Shao and Li, "SNUNet-CD: a densely connected Siamese network for change detection of VHR
images", IEEE GRSL, 2021. Nodes (i, j) stand at scale i and nesting j as in UNet++. Those of nesting 0 are
the encoder, shared by the dates. Node (i, j) sees both dates' features at its scale, all nodes before it
in its row and, enlarged, the node (i + 1, j - 1); where that is the encoder, the later date's features
alone. The ensemble channel attention (ECAM) weighs the four outputs at full size. The order of the dates
matters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from terradelta.detectors.detector import Detector
from terradelta.errors import UsageError

DEPTH = 5


class SnuNet(Detector):
    multiple = 16

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(classes)
        widths = [channels << scale for scale in range(DEPTH)]
        self.encoder = nn.ModuleList(
            Block(given, made) for given, made in zip([3, *widths[:-1]], widths, strict=True)
        )
        self.nodes, self.enlarge = nn.ModuleDict(), nn.ModuleDict()
        for scale, nesting in _order():
            width, below = widths[scale], widths[scale + 1]
            self.nodes[f"{scale}-{nesting}"] = Block((1 + nesting) * width + below, width)
            self.enlarge[f"{scale}-{nesting}"] = nn.ConvTranspose2d(below, below, 2, stride=2)
        self.between = ChannelAttention(4 * channels, 16)
        self.within = ChannelAttention(channels, 4)
        self.head = nn.Conv2d(4 * channels, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        first = self._encoded(before, DEPTH - 1)
        second = self._encoded(after, DEPTH)
        rows = [[torch.cat(pair, 1)] for pair in zip(first, second, strict=False)]
        for scale, nesting in _order():
            name = f"{scale}-{nesting}"
            below = second[scale + 1] if nesting == 1 else rows[scale + 1][nesting - 1]
            seen = torch.cat([*rows[scale], self.enlarge[name](below)], 1)
            rows[scale].append(self.nodes[name](seen))
        answer: Tensor = self.head(self._weighed(rows[0][1:]))
        return answer

    def _encoded(self, x: Tensor, depth: int) -> list[Tensor]:
        features = [self.encoder[0](x)]
        for block in self.encoder[1:depth]:
            features.append(block(functional.max_pool2d(features[-1], 2)))
        return features

    def _weighed(self, outputs: list[Tensor]) -> Tensor:
        """The attention of all outputs to each other, and of their sum to itself."""
        together = torch.cat(outputs, 1)
        own = self.within(torch.stack(outputs).sum(0)).repeat(1, len(outputs), 1, 1)
        weighed: Tensor = self.between(together) * (together + own)
        return weighed


class Block(nn.Module):
    """Two convolutions; what the first gives is added to what the second gives."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(given, made, 3, padding=1)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(made),
            nn.ReLU(inplace=True),
            nn.Conv2d(made, made, 3, padding=1),
            nn.BatchNorm2d(made),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return functional.relu(x + self.rest(x))


class ChannelAttention(nn.Module):
    """A weight in (0, 1) for each channel, [B, C, 1, 1], from its mean and its maximum (CBAM)."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        inner = max(1, channels // ratio)
        self.weigh = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        mean, largest = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        return torch.sigmoid(self.weigh(mean) + self.weigh(largest))


def snunet(*, classes: int = 1, channels: int = 32) -> SnuNet:
    if channels < 1:
        raise UsageError(f"channels is {channels}: SNUNet needs at least 1")
    return SnuNet(channels, classes)


def _order() -> list[tuple[int, int]]:
    """Scale and nesting of the nodes, each after those that it needs."""
    return [(scale, nesting) for nesting in range(1, DEPTH) for scale in range(DEPTH - nesting)]
