import numpy as np

from terradelta.synth.canvas import Canvas
from terradelta.synth.palette import SHALLOW, WATER
from terradelta.synth.rivers import paint_river, water_colour
from terradelta.synth.survey import Survey


def test_water_deepens_away_from_the_shore() -> None:
    distance = np.array([-9, 0], np.float32)
    still = np.zeros(2, np.float32)
    colour = water_colour(distance, still, still, deep=WATER, shallow=SHALLOW)
    np.testing.assert_allclose(colour, [WATER, SHALLOW], rtol=1e-5)


def test_the_river_is_water_and_the_land_is_left_alone(survey: Survey, bare: Canvas) -> None:
    paint_river(survey, bare)
    deep = survey.bank < -5
    assert deep.any()
    np.testing.assert_allclose(bare.albedo[deep].mean(axis=0), WATER, atol=0.02)
    assert (bare.green[deep] == 0).all()
    land = survey.bank > 4.5
    np.testing.assert_array_equal(bare.albedo[land], np.float32(0.3))
    assert (bare.green[land] == 1).all()
