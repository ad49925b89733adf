from typing import Any

import numpy as np
import pytest

from terradelta.baselines import kpca_mnet
from terradelta.baselines.kpca_mnet import KpcaMnet
from terradelta.errors import UsageError
from terradelta.synth import Scene, make_scene


@pytest.fixture(scope="module")
def made() -> Scene:
    return make_scene((72, 88), seed=0)


def test_blocks_do_not_show(made: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = KpcaMnet(layers=2).detect(made.before, made.after)
    monkeypatch.setattr(kpca_mnet, "BLOCK_PX", 17)
    blocks = KpcaMnet(layers=2).detect(made.before, made.after)
    np.testing.assert_allclose(blocks.score_image(), whole.score_image(), rtol=1e-5)


def test_a_pixel_is_seen_as_far_as_the_layers_reach(made: Scene) -> None:
    """Two pixels swapped leave the statistics alone: 3 layers of 5 px see 6 px around each."""
    after = made.before.copy()
    spots = (20, 20), (50, 60)
    assert (made.before[spots[0]] != made.before[spots[1]]).any()
    after[spots[0]], after[spots[1]] = made.before[spots[1]], made.before[spots[0]]
    intensity = KpcaMnet().detect(made.before, after).score_image()
    reached = np.zeros(intensity.shape, bool)
    for y, x in spots:
        reached[y - 6 : y + 7, x - 6 : x + 7] = True
    assert (intensity[reached] > 0).mean() > 0.99
    assert not intensity[~reached].any()


def test_light_and_contrast_of_a_date_are_no_change(made: Scene) -> None:
    dark = made.before // 3
    brighter = dark * np.uint8(2) + np.uint8([9, 60, 30])
    changed = KpcaMnet(layers=2).detect(made.before, made.after)
    same = KpcaMnet(layers=2).detect(dark, brighter)
    assert same.score_image().max() < 1e-4 * changed.score_image().max()


def test_both_dates_go_through_the_same_layers(made: Scene) -> None:
    """Exchanging the dates exchanges the halves of the samples and nothing else."""
    there = KpcaMnet(layers=2).detect(made.before, made.after)
    back = KpcaMnet(layers=2).detect(made.after, made.before)
    np.testing.assert_allclose(there.score_image(), back.score_image(), rtol=1e-4)


def test_the_seed_decides_and_hardly_matters(made: Scene) -> None:
    one, other = (KpcaMnet(seed=seed).detect(made.before, made.after) for seed in (0, 1))
    assert (one.score_image() != other.score_image()).any()
    assert (one.to_mask() == other.to_mask()).mean() > 0.95


def test_learning_is_from_valid_pixels_alone(made: Scene) -> None:
    """One valid pixel is one sample of each date: one component that tells the dates apart."""
    opaque = np.full((72, 88, 1), 0, np.uint8)
    opaque[30:32, 40:43] = 255
    before, after = (np.concatenate([date, opaque], 2) for date in (made.before, made.after))
    changes = KpcaMnet(layers=1, samples=1000).detect(before, after)
    assert changes.score_image()[opaque[..., 0] == 0].max() == 0
    assert changes.score_image().max() > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": 0}, "layers is 0"),
        ({"components": 0}, "components is 0"),
        ({"samples": 0}, "samples is 0"),
        ({"patch_px": 4}, "patch_px is 4"),
        ({"gamma": 0.0}, "gamma is 0.0"),
        ({"device": "mps:0"}, "mps"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KpcaMnet(**settings)
