import numpy as np
import pytest

from terradelta.synth import Nuisance
from terradelta.synth.grid import Window
from terradelta.synth.plan import Plan
from terradelta.synth.render import Date, View

SIZE = (300, 300)


@pytest.mark.parametrize("date", ["before", "after"])
def test_a_view_is_the_crop_of_a_larger_one(plan: Plan, date: Date) -> None:
    whole = View(plan, Window(0, 0, 300, 300), SIZE, 0.5, Nuisance())
    part = View(plan, Window(90, 120, 210, 200), SIZE, 0.5, Nuisance())
    crop = slice(120, 200), slice(90, 210)
    np.testing.assert_array_equal(part.picture(date), whole.picture(date)[crop])
    np.testing.assert_array_equal(part.numbers, whole.numbers[crop])
    np.testing.assert_array_equal(part.fringe, whole.fringe[crop])


def test_a_view_of_one_pixel(plan: Plan) -> None:
    view = View(plan, Window(150, 150, 151, 151), SIZE, 0.5, Nuisance())
    assert view.picture("after").shape == (1, 1, 3)
    assert view.numbers.shape == view.fringe.shape == (1, 1)


def test_fringe_and_truth_are_apart(plan: Plan) -> None:
    view = View(plan, Window(0, 0, 300, 300), SIZE, 0.5, Nuisance())
    assert view.fringe.any()
    assert not (view.fringe & (view.numbers > 0)).any()
