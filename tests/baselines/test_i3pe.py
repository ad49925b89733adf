import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from terradelta import make_scene
from terradelta.baselines import i3pe
from terradelta.baselines.i3pe import PUBLISHED, I3pe
from terradelta.baselines.i3pe_exchange import (
    MadePair,
    SingleDate,
)
from terradelta.errors import InputError, ModelError, UsageError
from terradelta.metrics import PixelCounts
from terradelta.synth import Scene

PALETTE = np.array([[200, 60, 50], [60, 170, 70], [50, 80, 190], [220, 210, 90]], np.uint8)
QUICK: dict[str, Any] = {
    "backbone": "test_resnet",
    "pretrained": False,
    "steps": 2,
    "batch": 2,
    "size_px": 32,
}


def cover_of(height: int, width: int, seed: int = 0, field: int = 8) -> NDArray[np.int64]:
    """Square fields of four kinds at random."""
    coarse = np.random.default_rng(seed).integers(0, 4, (-(-height // field), -(-width // field)))
    return np.kron(coarse, np.ones((field, field), np.int64))[:height, :width]


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture(scope="module")
def village() -> Scene:
    return make_scene(96, seed=3)


def test_the_network_learns_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each field occurs as often changed as unchanged in either date: one date alone tells nothing."""
    red, blue = (np.full((32, 32, 3), colour, np.uint8) for colour in PALETTE[[0, 2]])
    every = np.ones((32, 32), bool)

    def shown(image: SingleDate, other: SingleDate, size: int, random: Any) -> MadePair:
        one, two = ((red, blue)[int(k)] for k in random.integers(2, size=2))
        return MadePair(one, two, every & (one != two).any(), every)

    monkeypatch.setattr(i3pe, "make_pair", shown)
    monkeypatch.setattr(i3pe, "LEARNING_RATE", 3e-3)
    model = I3pe(**{**QUICK, "steps": 40, "batch": 4})
    model.fit([(red, blue)])
    assert model.detect(red, blue).to_mask().all()
    assert model.detect(blue, red).to_mask().all()
    assert not model.detect(red, red).to_mask().any()
    assert not model.detect(blue, blue).to_mask().any()


def test_exchanged_patches_teach_what_all_or_nothing_cannot_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On fields that it never saw, in other places; nothing is found between identical dates."""
    monkeypatch.setattr(i3pe, "LEARNING_RATE", 3e-3)
    plain = [PALETTE[cover_of(128, 128, seed, 16)] for seed in range(4)]
    model = I3pe(**{**QUICK, "steps": 60, "size_px": 64})
    model.fit([(plain[0], plain[1])])
    truth = (plain[2] != plain[3]).any(2)
    everything = PixelCounts.of(np.ones_like(truth), truth)
    found = PixelCounts.of(model.detect(plain[2], plain[3]).to_mask(), truth)
    assert found.f1 > everything.f1 + 0.02
    assert not model.detect(plain[2], plain[2]).to_mask().any()


def test_pixels_without_data_teach_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    covers = cover_of(32, 32), cover_of(32, 32, 1)
    valid = np.ones((32, 32), bool)
    valid[:, 20:] = False
    right = MadePair(PALETTE[covers[0]], PALETTE[covers[1]], covers[0] != covers[1], valid)
    wrong = MadePair(right.before, right.after, right.changed ^ ~valid, valid)
    answers = []
    for made in (right, wrong):
        monkeypatch.setattr(i3pe, "make_pair", lambda *given, made=made: made)
        answers.append(I3pe(**QUICK).detect(right.before, right.after).intensity)
    np.testing.assert_array_equal(answers[0], answers[1])


def test_the_same_twice_and_another_seed_another_answer(village: Scene) -> None:
    model = I3pe(**QUICK)
    first = model.detect(village.before, village.after)
    again = model.detect(village.before, village.after)
    np.testing.assert_array_equal(first.intensity, again.intensity)
    other = I3pe(**QUICK, seed=1).detect(village.before, village.after)
    assert not np.array_equal(first.intensity, other.intensity)
    assert first.threshold == 0.5
    assert 0 < first.intensity.min() <= first.intensity.max() < 1


def test_a_folder_is_learned_once_and_its_weights_come_back(village: Scene, tmp_path: Path) -> None:
    model, path = I3pe(**QUICK), tmp_path / "i3pe.safetensors"
    with pytest.raises(UsageError, match="nothing to save"):
        model.save(path)
    seen: list[tuple[str, int, int]] = []
    model.fit([(village.before, village.after)] * 3, progress=lambda *step: seen.append(step))
    assert seen == [("training", 0, 2), ("training", 1, 2), ("training", 2, 2)]
    assert model.describe()["trained_on"] == "3 pairs"
    first = model.detect(
        village.before, village.after, progress=lambda *step: pytest.fail("it learned again")
    )
    model.save(path)
    loaded = I3pe(backbone="test_resnet", weights=path)
    assert loaded.describe()["trained_on"] == str(path)
    np.testing.assert_array_equal(
        loaded.detect(village.before, village.after).intensity, first.intensity
    )
    with pytest.raises(ModelError, match="holds weights of"):
        I3pe(backbone="test_byobnet", weights=path)


def test_after_a_folder_any_size_gets_an_answer_in_grey_too(village: Scene) -> None:
    model = I3pe(**QUICK)
    model.fit([(village.before[..., 1], village.after[..., 1])])
    for shape in ((1, 1), (2, 70), (33, 17)):
        found = model.detect(noise(*shape), noise(*shape, seed=1))
        assert found.intensity.shape == shape
        assert np.isfinite(found.intensity).all()


def test_images_too_small_to_exchange_patches_are_refused() -> None:
    with pytest.raises(InputError, match=r"is 31 x 40 px: to exchange patches.*at least 32"):
        I3pe(**QUICK).detect(noise(40, 31, 3), noise(40, 31, 3, seed=1))


def test_what_lies_under_invalid_pixels_does_not_count() -> None:
    before, after = noise(40, 40, 4), noise(40, 40, 4, seed=1)
    before[..., 3] = after[..., 3] = 255
    after[:15, 10:, 3] = 0
    garbled = after.copy()
    garbled[:15, 10:, :3] = 77
    found = [I3pe(**QUICK).detect(before, date) for date in (after, garbled)]
    np.testing.assert_array_equal(found[0].intensity, found[1].intensity)
    assert not found[0].to_mask()[:15, 10:].any()


def test_the_published_settings_are_settings() -> None:
    settings = inspect.signature(I3pe).parameters
    assert set(PUBLISHED) <= set(settings)
    assert [field.name for field in fields(MadePair)] == ["before", "after", "changed", "valid"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch": 1.5}, "batch is 1.5"),
        ({"size_px": 31}, "size_px is 31"),
        ({"device": "cuda:99"}, "cuda:99"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        I3pe(**{**QUICK, **settings})


def test_there_must_be_something_to_learn_from() -> None:
    with pytest.raises(UsageError, match="at least one pair"):
        I3pe(**QUICK).fit([])
