from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from terradelta import make_scene
from terradelta.baselines import dcae
from terradelta.baselines.dcae import Autoencoder, Dcae, scaled
from terradelta.baselines.learning import save_weights
from terradelta.baselines.patches import at_least, draw_patches
from terradelta.errors import InputError, ModelError, OutputError, UsageError
from terradelta.metrics import PixelCounts
from terradelta.synth import Scene


@pytest.fixture(autouse=True)
def few_and_small_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dcae, "PATCHES", 64)
    monkeypatch.setattr(dcae, "PATCH_PX", 32)
    monkeypatch.setattr(dcae, "BATCH", 4)


@pytest.fixture(scope="module")
def village() -> Scene:
    return make_scene(96, seed=3)


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def numbered(height: int, width: int) -> NDArray[np.uint8]:
    """An image whose colours are row, column and 0."""
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, 0 * rows], 2).astype(np.uint8)


def test_patches_are_windows_of_both_dates() -> None:
    before, after = numbered(40, 60), numbered(40, 60)
    after[..., 2] = 1
    patches, valid = draw_patches([(before, after)], 50, 16, np.random.default_rng(0))
    assert patches.shape == (50, 16, 16, 3)
    assert valid.all()
    assert [int(patch[0, 0, 2]) for patch in patches] == [0] * 25 + [1] * 25
    corners = {(int(patch[0, 0, 0]), int(patch[0, 0, 1])) for patch in patches}
    assert len(corners) > 30
    for patch in patches:
        row, column, _ = patch[0, 0]
        np.testing.assert_array_equal(
            patch[..., :2], before[row : row + 16, column : column + 16, :2]
        )


def test_every_pair_gives_as_many_patches_and_of_too_many_a_choice_is_read() -> None:
    pairs = [(np.full((8, 8), n, np.uint8),) * 2 for n in range(6)]
    patches, _ = draw_patches(pairs, 24, 4, np.random.default_rng(0))
    assert np.bincount(patches[:, 0, 0, 0]).tolist() == [4] * 6
    few, _ = draw_patches(pairs, 4, 4, np.random.default_rng(0))
    assert sorted(np.bincount(few[:, 0, 0, 0], minlength=6).tolist()) == [0, 0, 0, 0, 2, 2]


def test_small_images_are_continued_by_pixels_that_do_not_count() -> None:
    image, valid = at_least(noise(3, 20, 3), np.ones((3, 20), bool), 8)
    assert image.shape == (8, 20, 3)
    assert valid[:3].all()
    assert not valid[3:].any()
    np.testing.assert_array_equal(image[3:], np.repeat(image[2:3], 5, 0))


def test_patches_know_which_pixels_are_valid() -> None:
    hole = np.full((20, 20, 4), 255, np.uint8)
    hole[:, 10:, 3] = 0
    _, valid = draw_patches([(hole, hole)], 40, 8, np.random.default_rng(0))
    assert valid.any()
    assert not valid.all()
    assert (valid[:, :, 1:] <= valid[:, :, :-1]).all()


def test_there_must_be_something_to_learn_from() -> None:
    with pytest.raises(UsageError, match="at least one pair"):
        Dcae().fit([])


def test_maps_have_three_resolutions() -> None:
    maps = Autoencoder().eval().maps(torch.zeros(1, 3, 32, 48))
    assert [tuple(one.shape[1:]) for one in maps] == [(128, 4, 6), (64, 8, 12), (32, 16, 24)]


def test_it_learns_to_reproduce_the_images(village: Scene, tmp_path: Path) -> None:
    """Better than by the mean colour of the image, which is what an untrained one comes to at best."""
    model = Dcae(steps=60)
    model.fit([(village.before, village.after)])
    model.save(tmp_path / "dcae.safetensors")
    network = Autoencoder()
    network.load_state_dict(load_file(tmp_path / "dcae.safetensors"))
    image = torch.from_numpy(village.before).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        wrong = ((network.eval()(image) - scaled(image)) ** 2).mean()
    assert wrong < 0.5 * scaled(image).var(dim=(2, 3)).mean()


def test_made_changes_are_found_better_than_by_trivial_answers() -> None:
    scene = make_scene(256, seed=0)
    found = Dcae(steps=20).detect(scene.before, scene.after)
    everything = PixelCounts.of(np.ones_like(scene.truth), scene.truth)
    assert PixelCounts.of(found.to_mask(), scene.truth).f1 > everything.f1 + 0.15


def test_a_folder_is_learned_once(village: Scene, tmp_path: Path) -> None:
    paths = tmp_path / "before.png", tmp_path / "after.png"
    for path, date in zip(paths, (village.before, village.after), strict=True):
        Image.fromarray(date).save(path)
    model, seen = Dcae(steps=5), []
    model.fit([paths, paths], progress=lambda *step: seen.append(step))
    assert seen[:2] == [("reading", 0, 2), ("reading", 1, 2)]
    assert seen[2:] == [("training", done, 5) for done in range(6)]
    assert model.describe()["trained_on"] == "2 pairs"
    first = model.detect(*paths, progress=lambda *step: pytest.fail("it learned again"))
    again = model.detect(village.before, village.after)
    np.testing.assert_array_equal(first.intensity, again.intensity)


def test_without_a_folder_each_pair_is_learned_anew(village: Scene) -> None:
    model = Dcae(steps=3)
    first = model.detect(village.before, village.after)
    model.detect(noise(40, 40, 3), noise(40, 40, 3, seed=1))
    again = model.detect(village.before, village.after)
    np.testing.assert_array_equal(first.intensity, again.intensity)
    assert first.settings["trained_on"] == "the pair"
    other = Dcae(steps=3, seed=1).detect(village.before, village.after)
    assert not np.array_equal(first.intensity, other.intensity)


def test_weights_come_back_from_a_file(village: Scene, tmp_path: Path) -> None:
    path = tmp_path / "dcae.safetensors"
    model = Dcae(steps=3)
    with pytest.raises(UsageError, match="nothing to save"):
        model.save(path)
    model.fit([(village.before, village.after)])
    model.save(path)
    loaded = Dcae(weights=path)
    assert loaded.describe()["trained_on"] == str(path)
    first, second = (one.detect(village.before, village.after) for one in (model, loaded))
    np.testing.assert_array_equal(first.intensity, second.intensity)
    with pytest.raises(OutputError):
        model.save(path / "below" / "a-file.safetensors")


def test_weights_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    with pytest.raises(ModelError, match="cannot be read"):
        Dcae(weights=path)
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match="cannot be read"):
        Dcae(weights=path)
    save_weights(path, torch.nn.Linear(2, 2), {"model": "line"})
    with pytest.raises(ModelError, match=r"holds weights of \{'model': 'line'\}"):
        Dcae(weights=path)


def test_identical_dates_have_no_change(village: Scene) -> None:
    found = Dcae(steps=2).detect(village.before, village.before)
    assert not found.intensity.any()
    assert not found.to_mask().any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (45, 13)])
def test_any_size_gets_a_finite_answer_in_grey_too(shape: tuple[int, int]) -> None:
    found = Dcae(steps=2).detect(noise(*shape), noise(*shape, seed=1))
    assert found.intensity.shape == shape
    assert np.isfinite(found.intensity).all()


def test_what_lies_under_invalid_pixels_does_not_count() -> None:
    before, after = noise(40, 40, 4), noise(40, 40, 4, seed=1)
    before[..., 3] = after[..., 3] = 255
    after[:15, 10:, 3] = 0
    garbled = after.copy()
    garbled[:15, 10:, :3] = 77
    found = [Dcae(steps=3).detect(before, date) for date in (after, garbled)]
    np.testing.assert_array_equal(found[0].intensity, found[1].intensity)
    assert not found[0].intensity[:15, 10:].any()


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="differ in size"):
        Dcae(steps=1).fit([(noise(40, 40, 3), noise(40, 41, 3))])


@pytest.mark.parametrize("settings", [{"steps": 0}, {"device": "cuda:99"}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Dcae(**settings)
