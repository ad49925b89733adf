from dataclasses import replace

import numpy as np
import pytest

from terradelta.synth.canvas import Canvas
from terradelta.synth.palette import ROAD
from terradelta.synth.roads import paint_roads
from terradelta.synth.shapes import NO_EVENT, Road, RoadKind
from terradelta.synth.survey import Survey


def painted(survey: Survey, bare: Canvas, kind: RoadKind, width: float) -> np.ndarray:
    """Paint one road across the middle of the window; the distance from its middle line."""
    middle = tuple(n // 2 for n in survey.axes.shape)
    u, v = float(survey.u[middle]), float(survey.v[middle])
    bare.event[:] = 5
    before = survey.roads
    survey.roads = [Road((u - 300, v), (u + 300, v), kind, width, 0.0)]
    paint_roads(survey, bare)
    survey.roads = before
    return np.abs(survey.v - np.float32(v))


@pytest.mark.parametrize("kind", [RoadKind.STREET, RoadKind.LANE, RoadKind.MAIN])
def test_asphalt_lies_where_the_road_runs(survey: Survey, bare: Canvas, kind: RoadKind) -> None:
    away = painted(survey, bare, kind, 6.0)
    on = away < 1.5
    np.testing.assert_allclose(bare.albedo[on].mean(axis=0), ROAD[kind], atol=0.06)
    assert (bare.green[on] == 0).all()
    assert (bare.event[on] == NO_EVENT).all()
    beside = away > 9
    np.testing.assert_array_equal(bare.albedo[beside], np.float32(0.3))
    assert (bare.event[beside] == 5).all()


def test_width_on_the_ground_is_kept(survey: Survey, bare: Canvas) -> None:
    painted(survey, bare, RoadKind.LANE, 6.0)
    length = np.hypot(*survey.axes.shape) * survey.step
    covered = (bare.green < 0.01).sum() * survey.step**2
    # The road crosses the window at some angle: between its height and its diagonal.
    assert 5.5 * min(survey.axes.shape) * survey.step < covered < 6.5 * length


def test_main_roads_are_marked(survey: Survey, bare: Canvas) -> None:
    plain = replace(bare).copy()
    away = painted(survey, bare, RoadKind.MAIN, 7.0)
    painted(survey, plain, RoadKind.LANE, 7.0)
    assert bare.albedo[away < 0.4].max() > plain.albedo[away < 0.4].max() + 0.03


def test_the_greater_road_lies_on_top(survey: Survey) -> None:
    kinds = [road.kind for road in sorted(survey.roads, key=lambda road: road.kind)]
    assert kinds == sorted(kinds)
