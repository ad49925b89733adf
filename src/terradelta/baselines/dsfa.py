"""DSFA: deep slow feature analysis.

Du, Ru, Wu and Zhang, "Unsupervised deep slow feature analysis for change detection in multi-temporal
remote sensing images", IEEE Transactions on Geoscience and Remote Sensing 57(12), 2019. Two fully
connected networks, one a date, map the colours of a pixel to features that differ as little as
possible where nothing changed: on pixels that change vector analysis calls unchanged they are trained
on the loss tr((B^-1 A)^2), A the covariance of the difference of the features, B the mean of their
covariances. Slow feature analysis of the deep features then gives combinations whose differences,
standardised and squared, add up to chi-square.

Layers (128, 128, 6, softsign between), weights, bands standardised by date, 3,000 pixels, the step
size of plain gradient descent and the ridge on B are those of the authors' released code. That code
differs from the paper in three places where the paper is followed here: features are centred; the
eigenvectors are those of the symmetric problem A w = lambda B w, for which the code takes the lower
triangle of B^-1 A; and the root of the loss is not taken. The code adds ten runs of 2,000 steps; here
there is one run, by default of 500 steps.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh
from torch import nn

from terradelta.baselines.answer import BaselineChanges, otsu
from terradelta.baselines.learning import check_counts, minimise, seeded
from terradelta.baselines.standard import standardised
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.sam.device import usable_device
from terradelta.types import Progress, silent

LAYERS = (3, 128, 128, 6)
LEARNING_RATE = 5e-4
RIDGE = 1e-4
LEAST_VARIANCE = 1e-12
PIXELS_PER_CHUNK = 1 << 17

Floats = NDArray[np.float32]


class Dsfa:
    """Change by deep slow features, learned anew from every pair.

    Args:
        steps: of gradient descent.
        samples: pixels, taken as unchanged, to train on.
        seed: of the weights and of the choice of pixels.
        device: where the networks run.

    Raises:
        UsageError: a setting is out of range, or the device is not there.
    """

    def __init__(
        self,
        *,
        steps: int = 500,
        samples: int = 3000,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        check_counts(steps=steps, samples=samples)
        self.steps, self.samples, self.seed = int(steps), int(samples), seed
        self.device = usable_device(device)

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """What changed between two images of one size, arrays or paths.

        The intensity is the root of chi-square, over which Otsu's threshold is the 2-means of the
        paper; chi-square itself is so skewed that either would keep only its far tail.

        Raises:
            InputError: the images cannot be read or do not fit each other.
        """
        pair = load_pair(before, after)
        first, second = (date[pair.valid] for date in standardised(pair))
        distance = np.zeros(pair.shape, np.float32)
        change_vectors = np.linalg.norm(second - first, axis=1)
        if change_vectors.any():
            unchanged = np.flatnonzero(change_vectors <= otsu(change_vectors))
            distance[pair.valid] = self._distance(first, second, unchanged, progress)
        return BaselineChanges.of_intensity(distance, pair, self.describe())

    def describe(self) -> dict[str, Any]:
        return {
            "model": "dsfa",
            "steps": self.steps,
            "samples": self.samples,
            "seed": self.seed,
        }

    def _distance(
        self, first: Floats, second: Floats, unchanged: NDArray[np.intp], progress: Progress
    ) -> Floats:
        """Root of chi-square of N pixels of standardised colours, float32 [N]."""
        chosen = np.random.default_rng(self.seed).permutation(unchanged)[: self.samples]
        before, after = (torch.from_numpy(date[chosen]).to(self.device) for date in (first, second))
        networks = self._trained(before, after, progress)
        with torch.inference_mode():
            weights = slow_features(networks[0](before).double(), networks[1](after).double())
            differences = torch.cat(
                [
                    networks[0](one.to(self.device)) - networks[1](two.to(self.device))
                    for one, two in zip(_chunks(first), _chunks(second), strict=True)
                ]
            ).double()
            slow = (differences - differences[chosen].mean(0)) @ weights
            variance = slow.var(0, correction=0).clamp(min=LEAST_VARIANCE)
            chi_square = (slow**2 / variance).sum(1)
        return np.asarray(chi_square.sqrt().float().cpu().numpy())

    def _trained(
        self, before: torch.Tensor, after: torch.Tensor, progress: Progress
    ) -> tuple[nn.Module, nn.Module]:
        with seeded(self.seed):
            first, second = _network().to(self.device), _network().to(self.device)
        optimizer = torch.optim.SGD([*first.parameters(), *second.parameters()], LEARNING_RATE)
        minimise(
            lambda: slowness_loss(first(before), second(after)), optimizer, self.steps, progress
        )
        return first, second


def slowness_loss(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """tr((B^-1 A)^2) of features [N, K] of both dates: the sum of the squared eigenvalues.

    0 if the features agree up to an offset, 16 K if each is the negative of the other.
    """
    difference, mean = _covariances(before, after)
    ratio = torch.linalg.solve(mean, difference)
    return torch.trace(ratio @ ratio)


def slow_features(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Combinations of features [N, K] of both dates, float64 [K, K] by columns, the slowest first."""
    difference, mean = (matrix.double().cpu().numpy() for matrix in _covariances(before, after))
    return torch.from_numpy(eigh(difference, mean)[1]).to(before.device)


def _covariances(before: torch.Tensor, after: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A, of the difference of the dates, and B, the mean of theirs with a ridge, both [K, K]."""
    before, after = before - before.mean(0), after - after.mean(0)
    difference = before - after
    ridge = RIDGE * torch.eye(before.shape[1], dtype=before.dtype, device=before.device)
    mean = (before.T @ before + after.T @ after) / (2 * len(before)) + ridge
    return difference.T @ difference / len(before), mean


def _network() -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(LAYERS):
        linear = nn.Linear(inputs, outputs)
        nn.init.trunc_normal_(linear.weight, std=0.1, a=-0.2, b=0.2)
        nn.init.constant_(linear.bias, 0.1)
        layers += [linear, nn.Softsign()]
    return nn.Sequential(*layers[:-1])


def _chunks(colours: Floats) -> tuple[torch.Tensor, ...]:
    chunks: tuple[torch.Tensor, ...] = torch.from_numpy(colours).split(PIXELS_PER_CHUNK)
    return chunks
