from typing import Any

import numpy as np
import pytest
import torch

from terradelta import make_scene
from terradelta.baselines.dsfa import RIDGE, Dsfa, slow_features, slowness_loss
from terradelta.errors import UsageError
from terradelta.metrics import PixelCounts

QUICK = {"steps": 40, "samples": 400}


def features(count: int = 500, width: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="module")
def village() -> Any:
    return make_scene(96, seed=4)


def test_features_that_agree_up_to_an_offset_have_no_loss() -> None:
    same = features()
    assert float(slowness_loss(same, same + 7)) == pytest.approx(0, abs=1e-12)


def test_opposite_features_have_the_largest_loss() -> None:
    """A is four times the covariance, so every eigenvalue is 4, its square 16."""
    some = 100 * features(width=5)
    assert float(slowness_loss(some, -some)) == pytest.approx(5 * 16, rel=1e-6)


def test_the_loss_is_the_sum_of_the_squared_generalised_eigenvalues() -> None:
    before, after = features(seed=1), features(seed=2)
    difference = np.cov((before - after).numpy().T, bias=True)
    mean = (np.cov(before.numpy().T, bias=True) + np.cov(after.numpy().T, bias=True)) / 2
    values = np.linalg.eigvals(np.linalg.solve(mean + RIDGE * np.eye(3), difference))
    assert float(slowness_loss(before, after)) == pytest.approx((values.real**2).sum())


def test_the_slowest_feature_is_what_the_dates_share() -> None:
    shared = features(width=1)
    before = torch.cat([features(width=2, seed=1), shared], 1)
    after = torch.cat([features(width=2, seed=2), shared], 1)
    weights = slow_features(before, after).numpy()
    slowest = np.abs(weights[:, 0]) / np.abs(weights[:, 0]).max()
    np.testing.assert_allclose(slowest, [0, 0, 1], atol=0.15)
    moved = ((before - after).numpy() @ weights).var(0)
    assert moved[0] < 0.05
    assert np.all(np.diff(moved) > 0)


def test_slow_features_do_not_depend_on_how_the_features_are_mixed() -> None:
    before, after = 100 * features(seed=1), 100 * features(seed=2)
    mixing = features(3, 3, seed=3)
    plain = np.abs((before - after).numpy() @ slow_features(before, after).numpy())
    mixed = (before - after) @ mixing
    turned = np.abs(mixed.numpy() @ slow_features(before @ mixing, after @ mixing).numpy())
    np.testing.assert_allclose(turned, plain, atol=1e-3)


def test_made_changes_are_found_better_than_by_trivial_answers() -> None:
    scene = make_scene(256, seed=0)
    found = Dsfa(steps=30, samples=600).detect(scene.before, scene.after)
    everything = PixelCounts.of(np.ones_like(scene.truth), scene.truth)
    assert PixelCounts.of(found.to_mask(), scene.truth).f1 > everything.f1 + 0.15


def test_training_makes_the_background_slower(
    village: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = []

    def noted(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        loss = slowness_loss(before, after)
        losses.append(float(loss.detach()))
        return loss

    monkeypatch.setattr("terradelta.baselines.dsfa.slowness_loss", noted)
    Dsfa(**QUICK).detect(village.before, village.after)
    assert len(losses) == QUICK["steps"]
    assert losses[-1] < 0.9 * losses[0]


def test_the_answer_is_the_same_twice_and_leaves_torchs_generator_alone(village: Any) -> None:
    torch.manual_seed(5)
    untouched = torch.rand(1)
    torch.manual_seed(5)
    first, second = (Dsfa(**QUICK).detect(village.before, village.after) for _ in range(2))
    np.testing.assert_array_equal(first.intensity, second.intensity)
    assert torch.rand(1) == untouched
    other = Dsfa(**QUICK, seed=1).detect(village.before, village.after)
    assert not np.array_equal(other.intensity, first.intensity)


def test_progress_counts_the_steps(village: Any) -> None:
    seen: list[tuple[str, int, int]] = []
    Dsfa(**QUICK).detect(village.before, village.after, progress=lambda *step: seen.append(step))
    assert seen == [("training", done, 40) for done in range(41)]


def test_identical_dates_have_no_change(village: Any) -> None:
    found = Dsfa(**QUICK).detect(village.before, village.before)
    assert not found.to_mask().any()
    assert len(found) == 0


def test_what_lies_under_invalid_pixels_does_not_count(village: Any) -> None:
    opaque = np.full((96, 96, 1), 255, np.uint8)
    opaque[:30, :50] = 0
    before, after = (np.concatenate([date, opaque], 2) for date in (village.before, village.after))
    garbled = after.copy()
    garbled[:30, :50, :3] = np.random.default_rng(0).integers(0, 256, (30, 50, 3))
    found = [Dsfa(**QUICK).detect(before, date) for date in (after, garbled)]
    np.testing.assert_array_equal(found[0].intensity, found[1].intensity)
    assert not found[0].to_mask()[:30, :50].any()


def test_grey_images_are_compared(village: Any) -> None:
    before, after = (date.mean(2).astype(np.uint8) for date in (village.before, village.after))
    found = Dsfa(**QUICK).detect(before, after)
    assert np.isfinite(found.intensity).all()
    assert 0 < found.to_mask().mean() < 0.7


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 1), (4, 5)])
def test_tiny_images_get_a_finite_answer(shape: tuple[int, int]) -> None:
    before, after = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    found = Dsfa(**QUICK).detect(before, after)
    assert found.intensity.shape == shape
    assert np.isfinite(found.intensity).all()
    assert found.to_mask().sum() < max(2, found.intensity.size)


def test_flat_images_have_no_change() -> None:
    flat = np.full((20, 20, 3), 9, np.uint8)
    assert not Dsfa(**QUICK).detect(flat, flat + 40).to_mask().any()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"samples": 1.5}, "samples is 1.5"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"device": "abacus"}, "abacus"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Dsfa(**settings)


def test_it_describes_itself() -> None:
    assert Dsfa(steps=3).describe() == {"model": "dsfa", "steps": 3, "samples": 3000, "seed": 0}
