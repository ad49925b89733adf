import numpy as np

from terradelta.synth.ground import ground_colour, paint_ground
from terradelta.synth.shapes import NO_EVENT, Use
from terradelta.synth.survey import Survey


def test_land_has_plausible_reflectance_and_no_events(survey: Survey) -> None:
    canvas = paint_ground(survey)
    assert canvas.albedo.dtype == np.float32
    assert canvas.albedo.min() >= 0
    assert canvas.albedo.max() < 0.95
    assert (canvas.event == NO_EVENT).all()
    assert canvas.height.min() >= 0
    assert canvas.height.max() < 3


def test_selected_pixels_get_the_colour_they_have_in_the_whole(survey: Survey) -> None:
    shape = survey.axes.shape
    use = np.full(shape, Use.CEREAL, np.intp)
    tint = np.zeros((3, *shape), np.float32)
    whole = ground_colour(survey, ..., use, tint, survey.rows)
    at = (np.array([3, 50, 99]), np.array([7, 200, 31]))
    some = ground_colour(survey, at, use[at], tint[:, :3, 0], survey.rows[at])
    np.testing.assert_array_equal(some, whole[at])


def test_tint_lightens_a_parcel(survey: Survey) -> None:
    shape = survey.axes.shape
    use = np.full(shape, Use.MEADOW, np.intp)
    dark, light = np.zeros((2, 3, *shape), np.float32)
    dark[0], light[0] = -1, 1
    darker = ground_colour(survey, ..., use, dark, survey.rows).mean()
    assert ground_colour(survey, ..., use, light, survey.rows).mean() > 1.2 * darker
