import numpy as np
import pytest

from terradelta.synth.canvas import Canvas
from terradelta.synth.light import Sun, illuminate, shadow


def level(shape: tuple[int, int] = (80, 80)) -> Canvas:
    return Canvas.level(np.full((*shape, 3), 0.4, np.float32), np.zeros(shape, np.float32))


def test_the_sun_in_the_south_at_45_degrees() -> None:
    sun = Sun.at(180, 45)
    assert (sun.east, sun.south, sun.tangent) == pytest.approx((0, 1, 1))
    assert 43 <= sun.reach(0.5) <= 44


@pytest.mark.parametrize(
    ("azimuth", "offset"), [(180, (-1, 0)), (0, (1, 0)), (90, (0, -1)), (270, (0, 1))]
)
def test_a_tower_casts_its_height_away_from_the_sun(
    azimuth: float, offset: tuple[int, int]
) -> None:
    height = np.zeros((80, 80), np.float32)
    height[38:42, 38:42] = 10
    hidden = shadow(height, Sun.at(azimuth, 45), 0.5)
    dark = np.argwhere(hidden > 0.5)
    steps = (dark - 39.5) @ np.array(offset)
    assert steps.min() > 1.5
    assert steps.max() == pytest.approx(1.5 + 10 / 0.5, abs=2)
    across = np.abs((dark - 39.5) @ np.array(offset[::-1]))
    assert across.max() < 2.6


def test_a_slanting_shadow_has_the_right_length() -> None:
    height = np.zeros((120, 120), np.float32)
    height[59:62, 59:62] = 12
    hidden = shadow(height, Sun.at(150, 40), 0.5)
    row, column = np.argwhere(hidden > 0.4).T - 60
    length = np.hypot(row, column).max() * 0.5
    assert length == pytest.approx(12 / np.tan(np.radians(40)), abs=1.5)
    far = np.argmax(np.hypot(row, column))
    assert np.degrees(np.arctan2(column[far], -row[far])) == pytest.approx(-30, abs=4)


def test_level_ground_keeps_its_albedo() -> None:
    light = illuminate(level(), Sun.at(150, 40), 0.5)
    np.testing.assert_allclose(light, 0.4, rtol=1e-5)


def test_shade_is_dark_and_bluish() -> None:
    canvas = level()
    canvas.height[40:, :] = 15
    light = illuminate(canvas, Sun.at(180, 45), 0.5)
    red, _, blue = light[30, 40]
    assert red < 0.5 * 0.4
    assert blue > red


def test_slopes_towards_the_sun_are_brighter() -> None:
    canvas = level()
    canvas.height[:] = 5
    canvas.slope_y[:40], canvas.slope_y[40:] = -0.5, 0.5
    light = illuminate(canvas, Sun.at(180, 45), 0.5)
    assert light[20, 40, 1] > 0.4 > light[60, 40, 1]


def test_low_relief_is_shaded_by_its_height() -> None:
    canvas = level()
    canvas.height += np.linspace(0, -8, 80, dtype=np.float32)[:, None]
    light = illuminate(canvas, Sun.at(180, 45), 0.5)
    assert light[40, 40, 1] > 0.42
