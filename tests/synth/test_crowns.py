import numpy as np
import pytest

from terradelta.synth.canvas import Canvas
from terradelta.synth.crowns import paint_crowns
from terradelta.synth.shapes import NO_EVENT, Trees
from terradelta.synth.survey import Survey


def trees(*rows: tuple[float, float, float, float, float, int]) -> Trees:
    """Rows of x, y, radius, height, conifer share and event."""
    x, y, radius, height, conifer, event = np.array(rows, np.float64).reshape(-1, 6).T
    return Trees(x, y, radius, height, conifer, np.zeros(len(x)), event.astype(np.int64))


@pytest.mark.parametrize("conifer", [0.0, 1.0])
def test_a_crown_is_a_lump_around_its_trunk(survey: Survey, bare: Canvas, conifer: float) -> None:
    paint_crowns(survey, bare, trees((3.0, 5.0, 4.0, 10.0, conifer, 8)))
    rows, columns = np.nonzero(bare.event == 8)
    away = np.hypot(survey.axes.x[columns] - 3, survey.axes.y[rows] - 5)
    assert away.max() < 1.5 * 4
    assert 0.5 * np.pi * 16 < len(rows) * survey.step**2 < 1.5 * np.pi * 16
    assert 9 < bare.height.max() < 13
    assert bare.height[rows, columns][away < 1].mean() > bare.height[rows, columns][away > 3].mean()


def test_crowns_slope_away_from_the_trunk(survey: Survey, bare: Canvas) -> None:
    paint_crowns(survey, bare, trees((0.0, 0.0, 4.0, 12.0, 1.0, 8)))
    rows, columns = np.nonzero(bare.event == 8)
    x, y = survey.axes.x[columns], survey.axes.y[rows]
    outward = bare.slope_x[rows, columns] * x + bare.slope_y[rows, columns] * y
    assert (outward < 0).mean() > 0.8


def test_the_higher_crown_is_on_top(survey: Survey, bare: Canvas) -> None:
    low, high = (0.0, 0.0, 3.0, 5.0, 1.0, 1), (0.0, 0.0, 3.0, 15.0, 1.0, 2)
    for pair in ((low, high), (high, low)):
        canvas = bare.copy()
        paint_crowns(survey, canvas, trees(*pair))
        assert 1 not in canvas.event
        assert 2 in canvas.event


def test_no_trees_and_trees_elsewhere_change_nothing(survey: Survey, bare: Canvas) -> None:
    untouched = bare.copy()
    paint_crowns(survey, bare, trees())
    paint_crowns(survey, bare, trees((9000.0, 0.0, 3.0, 9.0, 0.0, 4)))
    np.testing.assert_array_equal(bare.albedo, untouched.albedo)
    assert (bare.event == NO_EVENT).all()


def test_many_batches_paint_like_one(survey: Survey, bare: Canvas) -> None:
    rng = np.random.default_rng(0)
    rows = [
        (rng.uniform(-80, 80), rng.uniform(-60, 60), rng.uniform(1, 5), rng.uniform(4, 14), 0.0, k)
        for k in range(1, 3000)
    ]
    some = bare.copy()
    paint_crowns(survey, some, trees(*rows))
    visible = np.unique(some.event)[1:]
    again = bare.copy()
    paint_crowns(survey, again, trees(*(rows[k - 1] for k in visible)))
    np.testing.assert_array_equal(some.event, again.event)
