from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from numpy.typing import NDArray
from safetensors.torch import save_file

from terradelta import make_scene
from terradelta.baselines.backbones import load_backbone
from terradelta.baselines.dcva import Dcva, relative_to_surroundings
from terradelta.baselines.deep_difference import (
    change_vector_length,
    kept_differences,
    selected,
    standardised,
)
from terradelta.baselines.patches import continued
from terradelta.errors import ModelError, UsageError
from terradelta.metrics import PixelCounts

CPU = torch.device("cpu")
TINY = {"backbone": "test_resnet", "pretrained": False}


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def planes(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def colours_alone(image: torch.Tensor) -> Sequence[torch.Tensor]:
    """A network whose only layer is the image."""
    return [image]


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A weights folder without weights, and a hub that cannot be reached."""
    monkeypatch.setenv("TERRADELTA_WEIGHTS", str(tmp_path))

    def unreachable(*file: str) -> str:
        raise LocalEntryNotFoundError(f"no connection for {file}")

    monkeypatch.setattr("terradelta.baselines.backbones.hf_hub_download", unreachable)
    return tmp_path


def test_levels_are_those_asked_for() -> None:
    backbone = load_backbone("test_resnet", (0, 2, 3), pretrained=False).eval()
    assert backbone.strides == (2, 8, 16)
    levels = backbone(torch.zeros(2, 3, 64, 96))
    shapes = [(2, c, 64 // s, 96 // s) for c, s in zip(backbone.channels, (2, 8, 16), strict=True)]
    assert [tuple(level.shape) for level in levels] == shapes


def test_colours_are_brought_to_the_scale_that_the_network_was_trained_on() -> None:
    backbone = load_backbone("test_resnet", (0,), pretrained=False).eval()
    mean, deviation = (torch.tensor(backbone.body.pretrained_cfg[key]) for key in ("mean", "std"))
    image = planes(1, 3, 32, 32)
    raw = 255 * (image * deviation.view(1, 3, 1, 1) + mean.view(1, 3, 1, 1))
    torch.testing.assert_close(backbone(raw)[0], backbone.body(image)[0], rtol=1e-4, atol=1e-4)


def test_an_output_stride_stops_the_shrinking() -> None:
    backbone = load_backbone("test_resnet", (3, 4), pretrained=False, output_stride=16)
    assert backbone.strides == (16, 16)


def test_random_weights_depend_on_the_seed_alone() -> None:
    first, same, other = (
        load_backbone("test_resnet", (0,), pretrained=False, seed=seed).state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    "name", ["resnet17", "../resnet18", "hf-hub:some/thing", "vit_tiny_patch16_224"]
)
def test_what_is_no_convolutional_network_of_timm_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="unknown backbone"):
        load_backbone(name, (0,), pretrained=False)


def test_levels_that_a_network_lacks_are_refused() -> None:
    with pytest.raises(ModelError, match="test_convnext has no levels"):
        load_backbone("test_convnext", (1, 2, 3, 4), pretrained=False)


def test_weights_that_cannot_be_had_are_named_with_the_remedy(no_weights: Path) -> None:
    with pytest.raises(ModelError) as caught:
        Dcva()
    assert "hf download timm/resnet18.a1_in1k model.safetensors" in str(caught.value)
    assert str(no_weights / "resnet18.safetensors") in str(caught.value)


def test_weights_are_found_in_the_folder(no_weights: Path) -> None:
    torch.manual_seed(3)
    original = timm.create_model("test_resnet")
    save_file(original.state_dict(), no_weights / "test_resnet.safetensors")
    backbone = load_backbone("test_resnet", (0, 4))
    state = original.state_dict()
    taken = {key.removeprefix("body."): value for key, value in backbone.state_dict().items()}
    assert torch.equal(taken["conv1.0.weight"], state["conv1.0.weight"])
    assert all(torch.equal(value, state[key]) for key, value in taken.items())


def test_a_file_that_holds_no_weights_is_refused(no_weights: Path) -> None:
    (no_weights / "test_resnet.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"test_resnet.safetensors cannot be read"):
        load_backbone("test_resnet", (0,))


def test_weights_of_another_network_are_refused(no_weights: Path) -> None:
    other = timm.create_model("test_byobnet")
    save_file(other.state_dict(), no_weights / "test_resnet.safetensors")
    with pytest.raises(ModelError, match=r"test_resnet.safetensors does not hold the weights"):
        load_backbone("test_resnet", (0,))


def test_a_tag_that_is_not_published_is_refused(no_weights: Path) -> None:
    with pytest.raises(ModelError, match=r"no published weights of test_resnet.none_such"):
        load_backbone("test_resnet.none_such", (0,))


def test_each_quarter_keeps_the_features_that_vary_most_in_it() -> None:
    difference = 0.1 * planes(5, 9, 8)
    difference[3, :5, :4] *= 100
    difference[1, 5:, 4:] *= 100
    cells = torch.ones(9, 8, dtype=torch.bool)
    kept = set(selected(difference, cells, 1).tolist())
    assert {1, 3} <= kept
    assert len(kept) <= 4
    assert selected(difference, cells, 5).tolist() == [0, 1, 2, 3, 4]


def test_cells_without_data_have_no_say() -> None:
    difference = 0.1 * planes(5, 8, 8)
    cells = torch.ones(8, 8, dtype=torch.bool)
    cells[:, 6:] = False
    before = selected(difference, cells, 1)
    difference[:, :, 6:] += 1000 * planes(5, 8, 2, seed=1)
    assert torch.equal(selected(difference, cells, 1), before)
    cells[:, 4:] = False
    assert len(selected(difference, cells, 2)) <= 4


def test_features_are_standardised_over_valid_cells() -> None:
    features = 7 * planes(3, 6, 7) + 5
    features[2] = 4
    cells = torch.ones(6, 7, dtype=torch.bool)
    cells[0] = False
    inside = standardised(features, cells)[:, cells]
    torch.testing.assert_close(inside.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(inside.var(1, correction=0), torch.tensor([1.0, 1.0, 0.0]))


def test_gain_and_offset_of_a_date_do_not_matter() -> None:
    before, after = planes(4, 6, 6), planes(4, 6, 6, seed=1)
    valid = torch.ones(12, 12, dtype=torch.bool)
    plain = kept_differences(before, after, valid, 1.0)
    torch.testing.assert_close(
        kept_differences(before, 3 * after - 8, valid, 1.0), plain, rtol=1e-4, atol=1e-4
    )


def test_a_network_that_gives_the_image_gives_change_vector_analysis() -> None:
    before, after = noise(13, 10, 3), noise(13, 10, 3, seed=1)
    valid = np.ones((13, 10), bool)
    valid[4:, :3] = False
    length = change_vector_length(colours_alone, (before, after), valid, [1.0], 4, CPU)
    scores = [(date - date[valid].mean(0)) / date[valid].std(0) for date in (before, after)]
    expected = np.linalg.norm(scores[1] - scores[0], axis=2)
    np.testing.assert_allclose(length[valid], expected[valid], rtol=1e-4)


def test_layers_add_their_squares() -> None:
    before, after = noise(8, 8, 3), noise(8, 8, 3, seed=1)
    pair, valid = (before, after), np.ones((8, 8), bool)
    once = change_vector_length(colours_alone, pair, valid, [1.0], 1, CPU)
    thrice = change_vector_length(lambda image: [image] * 3, pair, valid, [1.0] * 3, 1, CPU)
    np.testing.assert_allclose(thrice, np.sqrt(3) * once, rtol=1e-5)


def test_images_are_continued_by_their_edges() -> None:
    image = torch.from_numpy(noise(5, 7, 3))
    large = continued(image, 4)
    assert large.shape == (1, 3, 8, 8)
    assert torch.equal(large[0, :, :5, :7], image.permute(2, 0, 1).float())
    assert torch.equal(large[0, :, 7, :7], image[4].T.float())
    assert continued(image[:4, :4], 4).shape == (1, 3, 4, 4)


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
