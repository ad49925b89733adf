from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import Dinov2Config, Dinov2Model

from terradelta.baselines import feature_cva
from terradelta.baselines.feature_cva import FeatureCva, change_magnitude
from terradelta.errors import ModelError, UsageError
from terradelta.features.dinov2 import Dinov2Features
from terradelta.sam.segmenter import Embedding

Spread = Callable[..., Embedding]


@pytest.fixture(scope="module")
def model() -> FeatureCva:
    """On a random DINOv2 that sees 8 x 12 patches of a 64 x 96 image."""
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=70, patch_size=14
    )
    torch.manual_seed(0)
    network = Dinov2Model(config).eval()
    return FeatureCva(Dinov2Features(network, name="tiny", long_side=168))


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_between_two_cells_the_vectors_are_mixed_before_their_length_is_taken(
    spread: Spread,
) -> None:
    before = np.zeros((2, 1, 2))
    after = np.array([[[3.0, 0.0]], [[0.0, 4.0]]])
    magnitude = change_magnitude(spread(before, (1, 4)), spread(after, (1, 4)))
    # Pixel centres lie at -1/4, 1/4, 3/4 and 5/4 of the way from the first cell to the second.
    expected = [3, np.hypot(0.75 * 3, 0.25 * 4), np.hypot(0.25 * 3, 0.75 * 4), 4]
    np.testing.assert_allclose(magnitude, [expected], rtol=1e-6)


@pytest.mark.parametrize("shape", [(37, 90), (90, 37), (5, 6), (1, 1)])
@pytest.mark.parametrize("numbers", [1, 3000, 1 << 23])
def test_it_is_the_length_of_what_torch_enlarges(
    spread: Spread, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], numbers: int
) -> None:
    monkeypatch.setattr(feature_cva, "NUMBERS_PER_BLOCK", numbers)
    before, after = np.random.default_rng(0).normal(size=(2, 16, 7, 11))
    magnitude = change_magnitude(spread(before, shape), spread(after, shape))
    large = torch.nn.functional.interpolate(
        torch.from_numpy(after - before)[None], shape, mode="bilinear", align_corners=False
    )
    assert magnitude.dtype == np.float32
    np.testing.assert_allclose(magnitude, large[0].norm(dim=0), atol=1e-5)


def test_what_was_built_has_the_larger_norm(model: FeatureCva) -> None:
    before = np.full((64, 96, 3), 90, np.uint8)
    after = before.copy()
    after[16:48, 56:88] = noise(32, 32)
    changes = model.detect(before, after)
    truth = np.zeros((64, 96), bool)
    truth[16:48, 56:88] = True
    found = changes.to_mask()
    assert (found & truth).sum() / (found | truth).sum() > 0.5
    assert changes.pair.shape == changes.score_image().shape == (64, 96)


@pytest.mark.parametrize("shape", [(1, 1), (20, 50)])
def test_the_same_image_twice_has_no_change(model: FeatureCva, shape: tuple[int, int]) -> None:
    changes = model.detect(noise(*shape), noise(*shape))
    assert len(changes) == 0
    assert not changes.score_image().any()


def test_pixels_without_values_are_no_change(
    model: FeatureCva, holed_pair: tuple[Any, Any]
) -> None:
    changes = model.detect(*holed_pair)
    assert not changes.score_image()[:, 10:].any()
    assert changes.score_image()[:, :10].all()


def test_it_says_which_features(model: FeatureCva) -> None:
    assert model.describe() == {"model": "dinov2-cva", "features": "tiny"}


def test_features_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(ModelError, match="unknown features 'dino'"):
        FeatureCva("dino")
    with pytest.raises(UsageError, match="'sam-key' are those of a SAM"):
        FeatureCva("sam-key")
