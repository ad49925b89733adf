import numpy as np
import pytest

from terradelta.synth import Acquisition
from terradelta.synth.camera import camera_reach, expose, sensor_noise, tint_by_season
from terradelta.synth.grid import Window
from terradelta.synth.texture import Noise

MARGIN = 12


def picture(light: np.ndarray, **conditions: object) -> np.ndarray:
    shot = Acquisition(**conditions)  # type: ignore[arg-type]
    shape = light.shape[0] - 2 * MARGIN, light.shape[1] - 2 * MARGIN, 3
    assert camera_reach(shot) <= MARGIN
    return expose(light, shot, MARGIN, np.zeros(shape, np.float32))


def flat(value: float) -> np.ndarray:
    return np.full((60, 70, 3), value, np.float32)


def scenery() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.1, 0.9, (60, 70, 3)).astype(np.float32)


def test_an_even_scene_is_an_even_picture() -> None:
    image = picture(flat(0.4))
    assert image.shape == (36, 46, 3)
    assert image.dtype == np.uint8
    assert (image == 102).all()


def test_gain_and_gamma_work_on_bands() -> None:
    image = picture(flat(0.25), gain=(2.0, 1.0, 1.0), gamma=(1.0, 0.5, 1.0))
    np.testing.assert_allclose(image[0, 0], [127.5, 127.5, 63.75], atol=1)


def test_haze_lifts_the_dark_and_lowers_contrast() -> None:
    clear, hazy = (picture(scenery(), haze=haze).astype(float) for haze in (0, 0.3))
    assert hazy.std() == pytest.approx(0.7 * clear.std(), rel=0.1)
    assert picture(flat(0.0), haze=0.3).min() > 30


def test_a_shift_by_whole_pixels_moves_the_picture() -> None:
    still, moved = picture(scenery()), picture(scenery(), shift=(2.0, -1.0))
    np.testing.assert_array_equal(moved[1:, :-2], still[:-1, 2:])


def test_a_shift_by_part_of_a_pixel_keeps_straight_ramps() -> None:
    ramp = np.repeat((np.arange(70) / 100)[None, :, None], 60, axis=0).repeat(3, axis=2)
    moved = picture(ramp.astype(np.float32), shift=(0.5, 0.0)).astype(float)
    still = picture(ramp.astype(np.float32)).astype(float)
    np.testing.assert_allclose(moved - still, 255 * 0.005, atol=1)


def test_blur_smooths() -> None:
    assert picture(scenery(), blur=1.5).std() < 0.7 * picture(scenery()).std()


def test_noise_has_the_given_deviation() -> None:
    noise = sensor_noise(Noise(1), Window(0, 0, 46, 36), 0)
    assert abs(noise.std() - 1) < 0.03
    image = expose(flat(0.4), Acquisition(noise=5), MARGIN, noise)
    assert image.std() == pytest.approx(5, rel=0.1)


def test_noise_of_a_window_is_the_crop_and_differs_by_date() -> None:
    whole = sensor_noise(Noise(1), Window(0, 0, 50, 40), 0)
    part = sensor_noise(Noise(1), Window(7, 9, 33, 21), 0)
    np.testing.assert_array_equal(part, whole[9:21, 7:33])
    other = sensor_noise(Noise(1), Window(0, 0, 50, 40), 1)
    assert abs(np.corrcoef(whole.ravel(), other.ravel())[0, 1]) < 0.05


def test_only_vegetation_follows_the_season() -> None:
    albedo = np.full((1, 2, 3), 0.3, np.float32)
    green = np.array([[0, 1]], np.float32)
    dry, lush = tint_by_season(albedo, green, 1.0), tint_by_season(albedo, green, -1.0)
    np.testing.assert_array_equal(dry[0, 0], albedo[0, 0])
    assert dry[0, 1, 0] / dry[0, 1, 1] > 1.05
    assert lush[0, 1, 0] / lush[0, 1, 1] < 0.95
