"""DCAE: features of a convolutional autoencoder that is trained on the images themselves.

Bergamasco, Saha, Bovolo and Bruzzone, "Unsupervised change detection using convolutional-autoencoder
multiresolution features", IEEE Transactions on Geoscience and Remote Sensing 60, 2022. An autoencoder
learns to reproduce patches of both dates without labels. Its feature maps of several resolutions are
compared between the dates, the most telling ones selected, and their differences aggregated into one
multiresolution difference image.

Decided here: three convolutions of stride 2 and their mirror images (5 x 5, 32, 64 and 128 filters,
batch normalisation, leaky rectifiers); the maps compared are the code and the hidden layers of the
decoder, which know both what is there and where; they are selected and aggregated as in
`deep_difference`, by two of the same authors; and the difference image is cut at Otsu's threshold. The
paper's last step, a fusion of scales by reliability maps, which sharpens outlines, is left out.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from terradelta.baselines.answer import BaselineChanges
from terradelta.baselines.deep_difference import change_vector_length
from terradelta.baselines.learning import (
    check_counts,
    load_weights,
    minimise,
    save_weights,
    seeded,
)
from terradelta.baselines.patches import PairLikes, draw_patches
from terradelta.errors import UsageError
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.sam.device import usable_device
from terradelta.types import Progress, silent

WIDTHS = (3, 32, 64, 128)
STRIDE = 8
KEPT_SHARES = (0.10, 0.10, 0.10)
PATCH_PX = 64
PATCHES = 2048
BATCH = 16
LEARNING_RATE = 1e-3
ABOUT = {"model": "dcae"}


class Dcae:
    """Change by the features of an autoencoder.

    It learns from the pairs given to `fit`, else from each pair anew.

    Args:
        steps: of training, with 16 patches of 64 x 64 px each.
        weights: a file written by `save`, instead of training.
        seed: of the weights and of the choice of patches.
        device: where the network runs.

    Raises:
        UsageError: a setting is out of range, or the device is not there.
        ModelError: the weights cannot be read.
    """

    def __init__(
        self,
        *,
        steps: int = 200,
        weights: str | Path | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        check_counts(steps=steps)
        self.steps, self.seed = int(steps), seed
        self.device = usable_device(device)
        self.trained_on = "the pair" if weights is None else str(weights)
        self._network: Autoencoder | None = None
        if weights is not None:
            network = Autoencoder()
            load_weights(weights, network, ABOUT)
            self._network = network.eval().to(self.device)

    def fit(self, pairs: PairLikes, *, progress: Progress = silent) -> None:
        """Learn from pairs of images, arrays or paths, once for all that is asked afterwards.

        Raises:
            UsageError: there are none. InputError: an image cannot be read or does not fit its partner.
        """
        self._network = self._trained(pairs, progress)
        self.trained_on = f"{len(pairs)} pairs"

    def save(self, path: str | Path) -> None:
        """Write what was learned as safetensors.

        Raises:
            UsageError: nothing was learned yet. OutputError: the file cannot be written.
        """
        if self._network is None:
            raise UsageError("there is nothing to save: call fit first")
        save_weights(path, self._network, ABOUT)

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """What changed between two images of one size, arrays or paths.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        pair = load_pair(before, after)
        network = self._network or self._trained([(before, after)], progress)
        length = change_vector_length(
            network.maps,
            (pair.before, pair.after),
            pair.valid,
            KEPT_SHARES,
            STRIDE,
            self.device,
        )
        return BaselineChanges.of_intensity(length, pair, self.describe())

    def describe(self) -> dict[str, Any]:
        return {
            "model": "dcae",
            "trained_on": self.trained_on,
            "steps": self.steps,
            "seed": self.seed,
        }

    def _trained(self, pairs: PairLikes, progress: Progress) -> Autoencoder:
        random = np.random.default_rng(self.seed)
        patches, valid = draw_patches(pairs, PATCHES, PATCH_PX, random, progress)
        with seeded(self.seed):
            network = Autoencoder().to(self.device)

        def loss() -> torch.Tensor:
            chosen = random.integers(len(patches), size=BATCH)
            images = torch.from_numpy(patches[chosen]).to(self.device).permute(0, 3, 1, 2).float()
            inside = torch.from_numpy(valid[chosen]).to(self.device)[:, None].float()
            wrong = (network(images) - scaled(images)) ** 2 * inside
            mean: torch.Tensor = wrong.sum() / (3 * inside.sum()).clamp(min=1)
            return mean

        minimise(loss, torch.optim.Adam(network.parameters(), LEARNING_RATE), self.steps, progress)
        return network.eval()


class Autoencoder(nn.Module):
    """Images float32 [N, 3, H, W] in [0, 255] to themselves in [-1, 1]; sides are multiples of 8."""

    def __init__(self) -> None:
        super().__init__()
        steps = list(pairwise(WIDTHS))
        down = [_layer(nn.Conv2d(n, m, 5, 2, 2), m) for n, m in steps]
        up = [
            _layer(nn.ConvTranspose2d(m, n, 5, 2, 2, output_padding=1), n)
            for n, m in reversed(steps[1:])
        ]
        self.encoder = nn.Sequential(*down)
        self.decoder = nn.ModuleList(up)
        self.last = nn.ConvTranspose2d(WIDTHS[1], WIDTHS[0], 5, 2, 2, output_padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        same: torch.Tensor = self.last(self.maps(images)[-1])
        return same

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The code and the hidden layers of the decoder: 128, 64, 32 maps of stride 8, 4, 2."""
        maps = [self.encoder(scaled(images))]
        for layer in self.decoder:
            maps.append(layer(maps[-1]))
        return maps


def scaled(images: torch.Tensor) -> torch.Tensor:
    """From [0, 255] to [-1, 1]."""
    return images / 127.5 - 1


def _layer(convolution: nn.Module, width: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.LeakyReLU(0.2))
