import math

import numpy as np
import pytest

from terradelta import AnyChange
from terradelta.engine.soft import FROM_ANGLE, FROM_MODEL, chance_image, chance_of_angle
from terradelta.errors import UsageError

from .made import Brighter, images_of


def test_the_chance_is_half_at_the_threshold_and_as_far_from_it_on_both_sides() -> None:
    chance = chance_of_angle(np.array([0, 10, 20, 30, 40, 180], np.float32), 20.0)
    assert chance.dtype == np.float32
    assert chance[2] == 0.5
    assert chance[0] == pytest.approx(1 / (1 + math.exp(4)))
    assert chance[1] == pytest.approx(1 / (1 + math.exp(2)))
    assert chance[3] == pytest.approx(1 - chance[1])
    assert chance[4] == pytest.approx(1 - chance[0])
    assert chance[5] <= 1


def test_it_grows_with_the_angle_and_has_no_unit() -> None:
    angle = np.linspace(0, 90, 400, dtype=np.float32)
    assert (np.diff(chance_of_angle(angle, 33.0)) > 0).all()
    assert chance_of_angle(angle, 30.0) == pytest.approx(chance_of_angle(2 * angle, 60.0))


def test_above_a_threshold_of_nothing_all_is_certain() -> None:
    assert chance_of_angle(np.array([0, 1e-3, 50], np.float32), 0.0).tolist() == [0, 1, 1]


def test_the_chance_is_above_half_where_anychange_answers_change() -> None:
    changes = AnyChange().detect(*images_of(0, 3))
    chance, how = chance_image(changes)
    assert how == FROM_ANGLE
    assert changes.to_mask().any()
    assert ((chance > 0.5) == changes.to_mask()).all()


def test_a_detector_gives_its_own_probability_and_other_scores_are_refused() -> None:
    before, after = images_of(0, 1)
    answer = Brighter().detect(before, after)
    chance, how = chance_image(answer)
    assert how == FROM_MODEL
    assert (chance == answer.score_image()).all()
    with pytest.raises(UsageError, match="no probabilities"):
        chance_image(Brighter(scale=1.0).detect(before, after))
