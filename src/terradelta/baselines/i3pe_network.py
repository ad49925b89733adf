"""The change network of I3PE: a siamese backbone with a light pyramid on top.

Chen et al., 2023. Both dates pass the same ResNet, which stops shrinking at stride 16. At each level
the features of the two dates are joined and narrowed to 128; from the coarsest level up they are
enlarged, added to the next and smoothed. The finest, at stride 4, gives the change.

The authors' released pyramid has no rectifiers. The change it gives is then a sum of what it makes of
each date alone, which cannot tell two that differ from two that agree; here every join and every
smoothing is rectified.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from terradelta.baselines.learning import seeded
from terradelta.features.backbones import Backbone, load_backbone

LEVELS = (1, 2, 3, 4)
OUTPUT_STRIDE = 16
WIDTH = 128


class ChangeNetwork(nn.Module):
    """Two images to the logits of change; sides are multiples of the coarsest stride."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.join = nn.ModuleList(nn.Conv2d(2 * c, WIDTH, 1) for c in backbone.channels)
        self.smooth = nn.ModuleList(
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in backbone.channels[1:]
        )
        self.classify = nn.Conv2d(WIDTH, 1, 1)

    def forward(
        self, before: torch.Tensor, after: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images float32 [N, 3, H, W] in [0, 255]: logits [N, H, W] from before to after, and back."""
        images = self.backbone.prepared(torch.cat([before, after]))
        levels = [level.chunk(2) for level in self.backbone(images)]
        there = self._change([torch.cat(pair, 1) for pair in levels])
        back = self._change([torch.cat(pair[::-1], 1) for pair in levels])
        return self._enlarged(there, before), self._enlarged(back, before)

    def _change(self, levels: list[torch.Tensor]) -> torch.Tensor:
        joined = [torch.relu(join(one)) for join, one in zip(self.join, levels, strict=True)]
        change = joined[-1]
        for level, smooth in zip(joined[-2::-1], self.smooth, strict=True):
            change = torch.relu(smooth(_resized(change, level) + level))
        logits: torch.Tensor = self.classify(change)
        return logits

    def _enlarged(self, logits: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return _resized(logits, image)[:, 0]


def build_network(name: str, *, pretrained: bool, seed: int) -> ChangeNetwork:
    """With a ResNet of timm by its name; see `load_backbone` for what is raised."""
    with seeded(seed):
        return ChangeNetwork(
            load_backbone(name, LEVELS, pretrained=pretrained, output_stride=OUTPUT_STRIDE)
        )


def _resized(planes: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    resized: torch.Tensor = functional.interpolate(planes, like.shape[2:], mode="bilinear")
    return resized
