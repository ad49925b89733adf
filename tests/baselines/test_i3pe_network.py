import numpy as np
import torch
from numpy.typing import NDArray

from terradelta.baselines.i3pe_network import build_network


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_swapping_the_dates_swaps_the_directions() -> None:
    network = build_network("test_resnet", pretrained=False, seed=0).eval()
    before, after = (torch.from_numpy(noise(2, 3, 48, 64, seed=seed)).float() for seed in (0, 1))
    with torch.inference_mode():
        there, back = network(before, after)
        other_there, other_back = network(after, before)
    assert there.shape == (2, 48, 64)
    torch.testing.assert_close(there, other_back)
    torch.testing.assert_close(back, other_there)
    assert not torch.allclose(there, back)
