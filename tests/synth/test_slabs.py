import numpy as np
import pytest

from terradelta.synth.canvas import Canvas
from terradelta.synth.palette import COVER
from terradelta.synth.shapes import NO_EVENT, Cover, Slab
from terradelta.synth.slabs import paint_slab
from terradelta.synth.survey import Survey


@pytest.mark.parametrize("cover", list(COVER))
def test_a_slab_covers_its_rectangle(survey: Survey, bare: Canvas, cover: Cover) -> None:
    bare.event[:] = 3
    paint_slab(survey, bare, Slab(4.0, -6.0, 0.4, 6.0, 4.0, cover, 0.0))
    covered = bare.event == NO_EVENT
    assert covered.sum() * survey.step**2 == pytest.approx(4 * 6 * 4, rel=0.1)
    inner = bare.green == 0
    np.testing.assert_allclose(bare.albedo[inner].mean(axis=0), COVER[cover], atol=0.06)
    rows, columns = np.nonzero(covered)
    assert survey.axes.x[columns].mean() == pytest.approx(4, abs=0.3)
    assert survey.axes.y[rows].mean() == pytest.approx(-6, abs=0.3)


def test_cars_and_hay_stand_up(survey: Survey, bare: Canvas) -> None:
    paint_slab(survey, bare, Slab(0.0, 0.0, 0.0, 2.2, 0.9, Cover.CAR, 0.3))
    assert bare.height.max() == pytest.approx(1.4)
    assert (bare.height > 0).sum() * survey.step**2 == pytest.approx(4 * 2.2 * 0.9, rel=0.25)


def test_a_slab_elsewhere_changes_nothing(survey: Survey, bare: Canvas) -> None:
    untouched = bare.copy()
    paint_slab(survey, bare, Slab(5000.0, 0.0, 0.0, 6.0, 4.0, Cover.GRAVEL, 0.0))
    np.testing.assert_array_equal(bare.albedo, untouched.albedo)
