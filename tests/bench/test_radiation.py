from dataclasses import replace

import numpy as np
import torch

from terradelta.bench.cases import Choice
from terradelta.bench.radiation import CONDITIONS, jittered, radiation_cases
from terradelta.geo.pair import Pair, load_pair

from .made import made_sample


def test_only_the_later_date_changes() -> None:
    sample = made_sample(0)
    before, after = sample.pair().before.copy(), sample.pair().after.copy()
    changed = jittered(0, sample)
    assert (changed.pair().before == before).all()
    assert (changed.pair().after != after).any()
    assert (sample.pair().after == after).all()
    assert (changed.truth() == sample.truth()).all()
    assert changed.name == sample.name


def test_every_pair_and_seed_has_its_own_light_and_always_the_same() -> None:
    sample = made_sample(0)
    other = replace(sample, name="elsewhere")
    images = [
        jittered(seed, each).pair().after for seed, each in ((0, sample), (1, sample), (0, other))
    ]
    assert not any((images[0] == image).all() for image in images[1:])
    torch.manual_seed(99)
    assert (jittered(0, sample).pair().after == images[0]).all()


def test_the_random_state_of_torch_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    jittered(0, made_sample(0)).pair()
    assert (torch.rand(3) == expected).all()


def test_grey_stays_grey_and_one_value_stays_one_value() -> None:
    """Saturation and hue cannot alter grey; brightness and contrast treat all pixels alike."""
    shades = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 3, 3, 2).repeat(8, 0)
    flat = np.full((8, 64, 3), 120, np.uint8)
    for image in (shades, flat):
        pair: Pair = load_pair(image, image)
        after = jittered(3, replace(made_sample(0), pair=lambda pair=pair: pair)).pair().after
        assert np.ptp(after.astype(int), axis=2).max() <= 1
        assert (np.ptp(after.astype(int), axis=0) == 0).all()
    assert np.ptp(after[..., 0]) == 0


def test_the_rows_differ_in_the_light_alone() -> None:
    sample = made_sample(0)
    plain, changed = radiation_cases(Choice(("cva",)), "folder")
    assert [case.rows[0].condition for case in (plain, changed)] == list(CONDITIONS)
    assert plain.rows[0].key != changed.rows[0].key
    assert plain.view(sample) is sample
    light = changed.view(sample)
    assert (light.pair().after == jittered(0, sample).pair().after).all()
    assert plain.load().settings == changed.load().settings
    alike = changed.load().ask(sample).trials[changed.rows[0].key][0].answer
    assert (alike == plain.load().ask(sample).trials[plain.rows[0].key][0].answer).all()
