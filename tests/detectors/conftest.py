"""Networks with random weights, built once; pairs of noise."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from terradelta.detectors import Detector, build_detector

Built = Callable[[str], Detector]
Pair = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture(scope="session")
def built() -> Built:
    """The detector of that name in evaluation mode, to be looked at and not changed."""

    @cache
    def build(name: str) -> Detector:
        with torch.inference_mode(False), torch.random.fork_rng():
            torch.manual_seed(0)
            return randomised(build_detector(name)).eval()

    return build


@pytest.fixture(scope="session")
def pair() -> Pair:
    """Two different batches float32 [batch, 3, height, width]."""

    def make(height: int, width: int, batch: int = 1, seed: int = 0) -> tuple[Tensor, Tensor]:
        random = torch.Generator().manual_seed(seed)
        before, after = torch.randn(2, batch, 3, height, width, generator=random)
        return before, after

    return make


def randomised(detector: Detector) -> Detector:
    """Scales and shifts of normalisations that are neither 1 nor 0, so that nothing is left out."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in detector.parameters():
            if weight.dim() == 1:
                weight.add_(0.2 * torch.randn(weight.shape, generator=random) + 0.1)
    return detector
