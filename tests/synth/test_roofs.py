import numpy as np
import pytest

from terradelta.synth.canvas import Canvas
from terradelta.synth.roofs import paint_building, paint_rubble
from terradelta.synth.shapes import Building, Roof, Wing
from terradelta.synth.survey import Survey

COLOUR = (0.5, 0.4, 0.3)


def house(roof: Roof, angle: float = 0.0, wings: tuple[Wing, ...] = ()) -> Building:
    return Building(2.0, 3.0, angle, (Wing(0, 0, 8, 5, roof, 4, 0.5), *wings), COLOUR, 0.0, 9)


@pytest.mark.parametrize("roof", list(Roof))
@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0])
def test_the_footprint_is_the_rectangle(
    survey: Survey, bare: Canvas, roof: Roof, angle: float
) -> None:
    paint_building(survey, bare, house(roof, angle))
    footprint = bare.event == 9
    assert footprint.sum() * survey.step**2 == pytest.approx(4 * 8 * 5, rel=0.03)
    np.testing.assert_array_equal(footprint, bare.height > 0)
    np.testing.assert_allclose(bare.albedo[footprint].mean(axis=0), COLOUR, atol=0.05)


def test_heights_of_the_roofs(survey: Survey, bare: Canvas) -> None:
    gable, hip, flat = bare.copy(), bare.copy(), bare.copy()
    for canvas, roof in ((gable, Roof.GABLE), (hip, Roof.HIP), (flat, Roof.FLAT)):
        paint_building(survey, canvas, house(roof))
    ridge = 4 + 0.5 * 5
    assert np.median(gable.height[gable.height > 6.2]) == pytest.approx(ridge, abs=0.2)
    assert (hip.height > 6).sum() < (gable.height > 6).sum()
    assert np.median(flat.height[flat.height > 0]) == pytest.approx(4)
    assert not flat.slope_x.any()


def test_the_faces_of_a_gable_slope_to_its_sides(survey: Survey, bare: Canvas) -> None:
    paint_building(survey, bare, house(Roof.GABLE))
    rows = survey.axes.y[np.nonzero(bare.event == 9)[0]] - 3
    slope = bare.slope_y[bare.event == 9]
    np.testing.assert_allclose(slope[rows > 0.3], -0.5)
    np.testing.assert_allclose(slope[rows < -0.3], 0.5)
    np.testing.assert_allclose(bare.slope_x, 0, atol=1e-6)


def test_wings_join(survey: Survey, bare: Canvas) -> None:
    wing = Wing(5, 4, 6, 2, Roof.GABLE, 4, 0.5, turned=True)
    paint_building(survey, bare, house(Roof.GABLE, wings=(wing,)))
    # The wing runs 10 m along y from -2 to 10, of which 5 to 10 lie outside the main rectangle.
    assert (bare.event == 9).sum() * survey.step**2 == pytest.approx(160 + 5 * 4, rel=0.03)


def test_rubble_takes_the_place_of_the_house(survey: Survey, bare: Canvas) -> None:
    standing, gone = bare.copy(), bare.copy()
    paint_building(survey, standing, house(Roof.HIP, 0.7))
    paint_rubble(survey, gone, house(Roof.HIP, 0.7))
    np.testing.assert_array_equal(standing.event, gone.event)
    assert gone.height.max() < 2
    assert not gone.green[gone.event == 9].max() > 0.5
