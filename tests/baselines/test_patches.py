import numpy as np
import torch
from numpy.typing import NDArray

from terradelta.baselines.patches import continued


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_images_are_continued_by_their_edges() -> None:
    image = torch.from_numpy(noise(5, 7, 3))
    large = continued(image, 4)
    assert large.shape == (1, 3, 8, 8)
    assert torch.equal(large[0, :, :5, :7], image.permute(2, 0, 1).float())
    assert torch.equal(large[0, :, 7, :7], image[4].T.float())
    assert continued(image[:4, :4], 4).shape == (1, 3, 4, 4)
