from pathlib import Path

import numpy as np
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError
from numpy.typing import NDArray

from terradelta import make_scene
from terradelta.baselines.dcva import Dcva, relative_to_surroundings
from terradelta.errors import ModelError, UsageError
from terradelta.metrics import PixelCounts

TINY = {"backbone": "test_resnet", "pretrained": False}


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A weights folder without weights, and a hub that cannot be reached."""
    monkeypatch.setenv("TERRADELTA_WEIGHTS", str(tmp_path))

    def unreachable(*file: str, **options: bool) -> str:
        raise LocalEntryNotFoundError(f"no connection for {file}")

    monkeypatch.setattr("terradelta.features.backbones.hf_hub_download", unreachable)
    return tmp_path


def test_random_weights_depend_on_the_seed_alone() -> None:
    image = noise(40, 40, 3, seed=1), noise(40, 40, 3, seed=2)
    first, same, other = (
        Dcva(**TINY, seed=seed).detect(*image).score_image() for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_weights_that_cannot_be_had_are_named_with_the_remedy(no_weights: Path) -> None:
    with pytest.raises(ModelError) as caught:
        Dcva()
    assert "hf download timm/resnet18.a1_in1k model.safetensors" in str(caught.value)
    assert str(no_weights / "resnet18.safetensors") in str(caught.value)


def test_an_even_image_lies_at_its_surroundings() -> None:
    valid = np.ones((30, 40), bool)
    relative, threshold = relative_to_surroundings(np.full((30, 40), 3, np.float32), valid)
    np.testing.assert_allclose(relative, 1, rtol=1e-4)
    assert threshold == 2


def test_the_local_threshold_is_relative_and_passes_over_invalid_pixels() -> None:
    length = np.random.default_rng(0).uniform(1, 2, (60, 60)).astype(np.float32)
    length[20:24, 20:24] = 9
    valid = np.ones((60, 60), bool)
    valid[:, 40:] = False
    relative, threshold = relative_to_surroundings(length, valid)
    hot = (relative > threshold) & valid
    assert hot[20:24, 20:24].all()
    assert hot.sum() == 16
    garbled = np.where(valid, 5 * length, 1e6).astype(np.float32)
    again = relative_to_surroundings(garbled, valid)[0]
    np.testing.assert_allclose(again[valid], relative[valid], rtol=1e-3)


def test_nothing_is_above_surroundings_without_change() -> None:
    nothing = np.zeros((5, 5), np.float32)
    relative, _ = relative_to_surroundings(nothing, np.ones((5, 5), bool))
    np.testing.assert_array_equal(relative, 0)


@pytest.mark.parametrize("threshold", ["otsu", "local"])
def test_random_filters_find_a_pasted_rectangle(threshold: str) -> None:
    scene = make_scene(128, seed=2)
    after = scene.before.copy()
    after[40:64, 72:100] = (230, 60, 50)
    truth = np.zeros((128, 128), bool)
    truth[40:64, 72:100] = True
    found = Dcva(**TINY, threshold=threshold).detect(scene.before, after)
    assert PixelCounts.of(found.to_mask(), truth).f1 > 0.7
    row, column = np.unravel_index(np.argmax(found.intensity), (128, 128))
    assert 38 <= row < 66
    assert 70 <= column < 102


def test_made_changes_are_found_better_than_by_trivial_answers() -> None:
    scene = make_scene(256, seed=0)
    found = Dcva(backbone="resnet18", pretrained=False).detect(scene.before, scene.after)
    everything = PixelCounts.of(np.ones_like(scene.truth), scene.truth)
    assert PixelCounts.of(found.to_mask(), scene.truth).f1 > everything.f1 + 0.15


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 17)])
@pytest.mark.parametrize("threshold", ["otsu", "local"])
def test_identical_dates_have_no_change(shape: tuple[int, int], threshold: str) -> None:
    image = noise(*shape, 3)
    found = Dcva(**TINY, threshold=threshold).detect(image, image)
    assert found.intensity.shape == shape
    assert not found.intensity.any()
    assert not found.to_mask().any()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (19, 50)])
def test_any_size_gets_a_finite_answer_in_grey_too(shape: tuple[int, int]) -> None:
    found = Dcva(**TINY).detect(noise(*shape), noise(*shape, seed=1))
    assert found.intensity.shape == shape
    assert np.isfinite(found.intensity).all()


def test_what_lies_under_invalid_pixels_does_not_count() -> None:
    before, after = noise(40, 40, 4), noise(40, 40, 4, seed=1)
    before[..., 3] = after[..., 3] = 255
    after[:15, 10:, 3] = 0
    garbled = after.copy()
    garbled[:15, 10:, :3] = 77
    found = [Dcva(**TINY).detect(before, date) for date in (after, garbled)]
    np.testing.assert_array_equal(found[0].intensity, found[1].intensity)
    assert not found[0].intensity[:15, 10:].any()


def test_random_weights_are_said_to_be_random() -> None:
    assert Dcva(**TINY).describe() == {
        "model": "dcva",
        "backbone": "test_resnet",
        "weights": "random, seed 0",
        "threshold": "otsu",
        "warning": "the features are those of random filters",
    }


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown threshold 'fixed'"):
        Dcva(**TINY, threshold="fixed")
    with pytest.raises(UsageError, match="'cuda:99' is not available"):
        Dcva(**TINY, device="cuda:99")
