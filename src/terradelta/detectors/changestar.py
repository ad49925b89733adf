"""ChangeStar: a segmentation network, and a small module that finds change in its features of two dates.

Zheng, Ma, Zhang and Zhong, "Change is everywhere: single-temporal supervised object change detection in
remote sensing imagery", ICCV 2021, section 3, with the segmentation network FarSeg of Zheng, Zhong, Wang
and Ma (CVPR 2020). In "ChangeStar (N x C)" the module, ChangeMixin, has N convolutions of C channels, and
the features have C as well: the form of Zheng et al. (ICCV 2023) and of the published counts.

ChangeMixin sees both dates in either order, with the same weights, and what it makes of the two is
averaged: the order of the dates does not matter. In 2023, pairs pass in one order alone. The
other costs no weight and 4 % more multiply-adds in (1 x 96), 14 % in (1 x 256) on ResNet-50, and makes a
network trained on single dates and one trained on pairs the same network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from terradelta.detectors.detector import Detector, enlarged, mirrored
from terradelta.errors import UsageError
from terradelta.features.backbones import Backbone, load_backbone

PYRAMID = 256


class ChangeStar(Detector):
    multiple = 32
    symmetric = True

    def __init__(
        self, backbone: Backbone, layers: int, channels: int, semantic: int, classes: int
    ) -> None:
        super().__init__(classes)
        if layers < 1 or channels < 1 or semantic < 0:
            raise UsageError(
                f"layers is {layers}, channels {channels} and semantic {semantic}: give at least "
                "1, 1 and 0"
            )
        self.segmentation = FarSeg(backbone, channels)
        self.mixin = nn.Sequential(
            *(_layer((1 if i else 2) * channels, channels) for i in range(layers))
        )
        self.head = nn.Conv2d(channels, classes, 1)
        self.semantic = nn.Conv2d(channels, semantic, 1) if semantic else None

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        first, second = self.segmentation(torch.cat([before, after])).chunk(2)
        return enlarged(self._change(first, second), before.shape[-2:])

    def objects_and_change(self, images: Tensor, partner: Tensor) -> tuple[Tensor, Tensor]:
        """What each image shows, and what differs between it and another of the batch: for STAR.

        The features of an image serve it as both dates, so that the change costs hardly more than the
        objects; it is what `forward` says of ``images`` and ``images[partner]``.

        Args:
            images: float32 [B, 3, H, W] from `normalise`, of any size.
            partner: int64 [B], which image of the batch is the later date of each.

        Returns:
            Logits of the objects, float32 [B, semantic, H, W], and of the change [B, classes, H, W].

        Raises:
            UsageError: built with ``semantic=0``.
        """
        features = self._features(images)
        whole = [self._objects(features), self._change(features, features[partner])]
        objects, change = (self._at_size_of(images, logits) for logits in whole)
        return objects, change

    def semantic_logits(self, images: Tensor) -> Tensor:
        """The kinds of objects that one date shows.

        Args:
            images: float32 [B, 3, H, W] from `normalise`, of any size.

        Returns:
            float32 [B, semantic, H, W].

        Raises:
            UsageError: built with ``semantic=0``.
        """
        return self._at_size_of(images, self._objects(self._features(images)))

    def _features(self, images: Tensor) -> Tensor:
        features: Tensor = self.segmentation(mirrored(images, self.multiple))
        return features

    def _objects(self, features: Tensor) -> Tensor:
        if self.semantic is None:
            raise UsageError(
                f"{self.name} tells no objects: build it with semantic=1 or more kinds"
            )
        objects: Tensor = self.semantic(features)
        return objects

    def _change(self, first: Tensor, second: Tensor) -> Tensor:
        orders = [torch.cat(dates, 1) for dates in ((first, second), (second, first))]
        forth, back = self.mixin(torch.cat(orders)).chunk(2)
        change: Tensor = self.head((forth + back) / 2)
        return change

    def _at_size_of(self, images: Tensor, logits: Tensor) -> Tensor:
        """From a quarter of the padded size."""
        height, width = images.shape[-2:]
        whole = enlarged(logits, (4 * logits.shape[-2], 4 * logits.shape[-1]))
        return whole[..., :height, :width]


class FarSeg(nn.Module):
    """float32 [B, 3, H, W] to features [B, ``channels``, H / 4, W / 4]; sides are multiples of 32.

    A feature pyramid; at each level, attention to what goes with the scene as a whole; a light decoder.
    """

    def __init__(self, backbone: Backbone, channels: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.pyramid = Pyramid(backbone.channels)
        self.relations = nn.ModuleList(Relation(backbone.channels[-1]) for _ in backbone.channels)
        self.decoder = nn.ModuleList(
            nn.ModuleList(
                _layer(channels if i else PYRAMID, channels) for i in range(max(1, level))
            )
            for level in range(len(backbone.channels))
        )

    def forward(self, images: Tensor) -> Tensor:
        levels = self.backbone(images)
        scene = levels[-1].mean((2, 3), keepdim=True)
        related = (
            relation(scene, level)
            for relation, level in zip(self.relations, self.pyramid(levels), strict=True)
        )
        decoded = [
            _decoded(x, layers, doublings)
            for doublings, (layers, x) in enumerate(zip(self.decoder, related, strict=True))
        ]
        return torch.stack(decoded).mean(0)


class Pyramid(nn.Module):
    """Levels of any channels, finest first, to as many of 256; each has heard the coarser ones."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, PYRAMID, 1, bias=False) for c in channels)
        self.out = nn.ModuleList(
            nn.Conv2d(PYRAMID, PYRAMID, 3, padding=1, bias=False) for _ in channels
        )
        for convolution in (*self.lateral, *self.out):
            nn.init.kaiming_uniform_(convolution.weight, a=1)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        merged = [layer(level) for layer, level in zip(self.lateral, levels, strict=True)]
        for i in range(len(merged) - 2, -1, -1):
            merged[i] = merged[i] + functional.interpolate(merged[i + 1], scale_factor=2.0)
        return [layer(level) for layer, level in zip(self.out, merged, strict=True)]


class Relation(nn.Module):
    """Each position of a level, weighed by how well it goes with the scene (FarSeg, section 3.2).

    ``scene`` [B, C, 1, 1] and ``level`` [B, 256, h, w] to [B, 256, h, w].
    """

    def __init__(self, scene_channels: int) -> None:
        super().__init__()
        self.scene = nn.Sequential(
            nn.Conv2d(scene_channels, PYRAMID, 1), nn.ReLU(), nn.Conv2d(PYRAMID, PYRAMID, 1)
        )
        self.content, self.encode = (
            nn.Sequential(nn.Conv2d(PYRAMID, PYRAMID, 1), nn.BatchNorm2d(PYRAMID), nn.ReLU())
            for _ in range(2)
        )

    def forward(self, scene: Tensor, level: Tensor) -> Tensor:
        relation = (self.scene(scene) * self.content(level)).sum(1, keepdim=True).sigmoid()
        weighed: Tensor = relation * self.encode(level)
        return weighed


def changestar(
    *,
    classes: int = 1,
    pretrained: bool = False,
    backbone: str = "resnet18",
    layers: int = 1,
    channels: int = 96,
    semantic: int = 0,
) -> ChangeStar:
    """``semantic`` kinds of objects for `ChangeStar.semantic_logits`; 0 leaves them out, as for pairs."""
    return ChangeStar(
        load_backbone(backbone, pretrained=pretrained, or_random=True),
        layers,
        channels,
        semantic,
        classes,
    )


def _layer(given: int, made: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, made, 3, padding=1, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU(inplace=True),
    )


def _decoded(x: Tensor, layers: nn.Module, doublings: int) -> Tensor:
    """Through the layers, doubled after each, but at the finest level, which has the size already."""
    for layer in layers.children():
        x = layer(x)
        if doublings:
            x = enlarged(x, (2 * x.shape[-2], 2 * x.shape[-1]))
    return x
