"""DCVA: deep change vector analysis.

Saha, Bovolo and Bruzzone, "Unsupervised deep change vector analysis for multiple-change detection in
VHR images", IEEE Transactions on Geoscience and Remote Sensing 57(6), 2019: features of several layers
of a pretrained convolutional network, compared as in `deep_difference`, then a threshold.

The published network was trained on aerial semantic segmentation and is in no public hub; any
convolutional backbone of timm takes its place, by default one with ImageNet weights. Layers and the
shares of features that are kept follow the authors' released code: the first three resolutions, with
10, 10 and 5 % in each quarter. Two thresholds are published: Otsu's, and for complex scenes a local
one, which in that code is twice the mean of the surroundings, at three scales.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.baselines.answer import BaselineChanges
from terradelta.baselines.deep_difference import change_vector_length
from terradelta.baselines.learning import seeded
from terradelta.errors import UsageError
from terradelta.features.backbones import load_backbone
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.sam.device import usable_device
from terradelta.types import Progress, silent

LEVELS = (0, 1, 2)
KEPT_SHARES = (0.10, 0.10, 0.05)
SURROUNDINGS_PX = (101.0, 151.0, 201.0)
OVER_SURROUNDINGS = 2.0

Floats = NDArray[np.float32]
Rule = Callable[[Floats, NDArray[np.bool_]], tuple[Floats, float | None]]
"""From the length of the change vectors and what is valid to an intensity and its threshold."""


class Dcva:
    """Change by the features of a pretrained network. Nothing is learned.

    Args:
        backbone: a convolutional network of timm by its name.
        pretrained: False for random weights, whose features are those of random filters: for tests
            and comparisons.
        threshold: ``"otsu"``, or ``"local"`` for intensities relative to their surroundings.
        seed: of random weights.
        device: where the network runs.

    Raises:
        UsageError: a setting is out of range, or the device is not there.
        ModelError: the network is unknown, or its weights cannot be had.
    """

    def __init__(
        self,
        *,
        backbone: str = "resnet18",
        pretrained: bool = True,
        threshold: str = "otsu",
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        if threshold not in RULES:
            raise UsageError(f"unknown threshold {threshold!r}: choose from {', '.join(RULES)}")
        self.backbone, self.pretrained, self.threshold = backbone, pretrained, threshold
        self.seed = seed
        self.device = usable_device(device)
        with seeded(seed):
            network = load_backbone(backbone, LEVELS, pretrained=pretrained)
        self._network = network.eval().to(self.device)

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """What changed between two images of one size, arrays or paths.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        pair = load_pair(before, after)
        progress("comparing", 0, 1)
        length = change_vector_length(
            self._maps,
            (pair.before, pair.after),
            pair.valid,
            KEPT_SHARES,
            self._network.strides[-1],
            self.device,
        )
        intensity, threshold = RULES[self.threshold](length, pair.valid)
        progress("comparing", 1, 1)
        return BaselineChanges.of_intensity(intensity, pair, self.describe(), threshold)

    def _maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        levels: list[torch.Tensor] = self._network(self._network.prepared(images))
        return levels

    def describe(self) -> dict[str, Any]:
        return {
            "model": "dcva",
            "backbone": self.backbone,
            "weights": "pretrained" if self.pretrained else f"random, seed {self.seed}",
            "threshold": self.threshold,
        } | ({} if self.pretrained else {"warning": "the features are those of random filters"})


def _otsu(length: Floats, valid: NDArray[np.bool_]) -> tuple[Floats, None]:
    return length, None


def relative_to_surroundings(length: Floats, valid: NDArray[np.bool_]) -> tuple[Floats, float]:
    """How many times the mean of its surroundings a pixel has, by the scale at which it is most.

    The mean is Gaussian, over valid pixels. The threshold is exceeded where it is at any scale.
    """
    inside = valid.astype(np.float32)
    least = np.full(length.shape, np.inf, np.float32)
    for deviation in SURROUNDINGS_PX:
        total, weight = (
            ndimage.gaussian_filter(plane, deviation, mode="nearest")
            for plane in (length * inside, inside)
        )
        least = np.minimum(least, total / np.maximum(weight, np.finfo(np.float32).tiny))
    relative = np.asarray(length / np.where(least > 0, least, np.inf), np.float32)
    return relative, OVER_SURROUNDINGS


RULES: dict[str, Rule] = {"otsu": _otsu, "local": relative_to_surroundings}
