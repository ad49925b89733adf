"""KPCA-MNet: a deep siamese network of kernel PCA convolutions that learns from the pair itself.

Wu, Chen, Du and Zhang, "Unsupervised change detection in multitemporal VHR images based on deep kernel
PCA convolutional mapping network", IEEE Transactions on Cybernetics 52(11), 2022. Each layer is kernel
PCA of patches sampled from the features of both dates below it; the same layers see both dates. The
difference of the last features is mapped to polar coordinates: its length tells change from no change
by Otsu's threshold. Its direction only tells kinds of change apart, which are not asked for here.

The defaults are those of the authors' released code, which pads every layer with zeros and works in
blocks that do not know of each other; here images are mirrored once, and blocks overlap, so that
neither borders nor blocks show in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from terradelta.baselines.answer import BaselineChanges
from terradelta.baselines.kernel_pca import KernelConvolution
from terradelta.baselines.learning import check_counts
from terradelta.baselines.standard import standardised
from terradelta.errors import UsageError
from terradelta.geo.pair import ImageLike, Pair, load_pair
from terradelta.sam.device import usable_device
from terradelta.types import Progress, silent

BLOCK_PX = 80
"""Side of the squares that are looked at together: what bounds the memory."""


class KpcaMnet:
    """Change by the distance of deep kernel PCA features, learnt from each pair anew.

    Args:
        layers: kernel PCA convolutions on top of each other.
        components: kernel principal components that each layer hands on.
        patch_px: odd side of the patches.
        gamma: of the Gaussian kernel, exp(-gamma * squared distance).
        samples: pixels whose patches, of both dates, a layer is learnt from.
        seed: of the choice of these pixels.
        device: where it runs: ``"cpu"`` or ``"cuda"``; it needs float64.

    Raises:
        UsageError: a setting is out of range.
    """

    def __init__(
        self,
        *,
        layers: int = 3,
        components: int = 8,
        patch_px: int = 5,
        gamma: float = 5e-4,
        samples: int = 100,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        check_counts(layers=layers, components=components, samples=samples)
        if patch_px < 1 or patch_px % 2 == 0:
            raise UsageError(
                f"patch_px is {patch_px}: it must be odd, so that a patch has a middle"
            )
        if not gamma > 0:
            raise UsageError(f"gamma is {gamma}: it must be positive")
        self.layers, self.components, self.patch_px = layers, components, patch_px
        self.gamma, self.samples, self.seed = gamma, samples, seed
        self.device = usable_device(device)
        if self.device.type == "mps":
            raise UsageError(
                "kpca-mnet needs float64, which mps does not have: use 'cpu' or 'cuda'"
            )

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """What changed between two images of one size, arrays or paths.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        pair = load_pair(before, after)
        dates = self._mirrored(pair)
        network = self._learn(dates, pair.valid, progress)
        return BaselineChanges.of_intensity(
            self._distance(network, dates, pair, progress), pair, self.describe()
        )

    def describe(self) -> dict[str, Any]:
        return {
            "model": "kpca-mnet",
            "layers": self.layers,
            "components": self.components,
            "patch_px": self.patch_px,
            "gamma": self.gamma,
            "samples": self.samples,
            "seed": self.seed,
        }

    def _mirrored(self, pair: Pair) -> Tensor:
        """Both standardised dates, float32 [2, 3, H + 2 m, W + 2 m], m what the network sees around."""
        margin = self.layers * (self.patch_px // 2)
        images = np.stack(standardised(pair)).transpose(0, 3, 1, 2)
        around = ((0, 0), (0, 0), (margin, margin), (margin, margin))
        return torch.from_numpy(np.pad(images, around, mode="symmetric"))

    def _learn(
        self, dates: Tensor, valid: NDArray[np.bool_], progress: Progress
    ) -> list[KernelConvolution]:
        generator = np.random.default_rng(self.seed)
        candidates = np.flatnonzero(valid)
        network: list[KernelConvolution] = []
        for layer in range(self.layers):
            progress("learning", layer, self.layers)
            count = min(self.samples, len(candidates))
            chosen = generator.choice(candidates, count, replace=False)
            seen = self._windows(dates, np.divmod(chosen, valid.shape[1]), layer)
            patches = _through(network, seen)
            network.append(KernelConvolution.fitted(patches, self.components, self.gamma))
        return network

    def _windows(
        self, dates: Tensor, centres: tuple[NDArray[Any], NDArray[Any]], layer: int
    ) -> Tensor:
        """What the patches of a layer around the centres see of both dates, float64 [2 N, 3, s, s]."""
        half = self.patch_px // 2
        first, side = (self.layers - 1 - layer) * half, 2 * (layer + 1) * half + 1
        windows = [
            dates[:, :, y + first : y + first + side, x + first : x + first + side]
            for y, x in zip(*(axis.tolist() for axis in centres), strict=True)
        ]
        return torch.cat(windows).to(self.device, torch.float64)

    def _distance(
        self, network: list[KernelConvolution], dates: Tensor, pair: Pair, progress: Progress
    ) -> NDArray[np.float32]:
        distance = np.empty(pair.shape, np.float32)
        margin = 2 * self.layers * (self.patch_px // 2)
        blocks = list(_blocks(*pair.shape))
        for done, (rows, columns) in enumerate(blocks):
            progress("comparing", done, len(blocks))
            window = dates[
                :, :, rows.start : rows.stop + margin, columns.start : columns.stop + margin
            ]
            before, after = (
                _through(network, date[None].to(self.device, torch.float64)) for date in window
            )
            distance[rows, columns] = (before - after).norm(dim=1)[0].cpu().numpy()
        return distance


def _through(network: list[KernelConvolution], images: Tensor) -> Tensor:
    for layer in network:
        images = layer(images)
    return images


def _blocks(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    for y in range(0, height, BLOCK_PX):
        for x in range(0, width, BLOCK_PX):
            yield slice(y, min(y + BLOCK_PX, height)), slice(x, min(x + BLOCK_PX, width))
