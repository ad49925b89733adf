"""Grey ground of 240 x 240 px with a texture of its own, and bright rectangles laid over it."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.geo.clouds import BRIGHTER_BY, cloud_shares
from terradelta.geo.sample import Patch, Sample
from terradelta.geo.stretch import Radiometry

AS_IT_IS = Radiometry((1,) * 3, (0,) * 3, (0,) * 3, (255,) * 3, (0,) * 3, (0,) * 3)
SIDE = 240
Sampled = Callable[..., Sample]
Image = NDArray[np.uint8]


def ground(mean: float = 90, *, seed: int = 0) -> Image:
    """[240, 240, 3], between 15 below and 15 above the mean."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(SIDE, SIDE)), 2)
    grey = mean + 15 * noise / np.abs(noise).max()
    return np.repeat(grey[..., None], 3, 2).round().astype(np.uint8)


def covered(image: Image, x0: int, y0: int, x1: int, y1: int, value: object = 220) -> Image:
    """The image under a flat cloud: only a faint grain of the sensor is left."""
    grain = np.random.default_rng(7).integers(-2, 3, (y1 - y0, x1 - x0, 1))
    clouded = image.copy()
    clouded[y0:y1, x0:x1] = np.clip(np.asarray(value) + grain, 0, 255)
    return clouded


def shares(
    sampled: Sampled,
    before: Image,
    after: Image,
    pixel_m: float | None = 5,
    valid: NDArray[np.bool_] | None = None,
) -> tuple[float, float]:
    return cloud_shares(sampled(before, after, valid), AS_IT_IS, pixel_m)


def test_nothing_looks_like_cloud_where_both_dates_are_ground(sampled: Sampled) -> None:
    assert shares(sampled, ground(), ground(100, seed=1)) == (0, 0)


def test_the_share_is_that_of_the_clouded_pixels_of_either_date(sampled: Sampled) -> None:
    clear = ground()
    clouded = covered(covered(clear, 0, 0, 60, 80), 100, 120, 220, 200)
    share = pytest.approx((60 * 80 + 120 * 80) / SIDE**2, rel=1e-9)
    assert shares(sampled, clouded, clear) == (share, 0)
    assert shares(sampled, clear, clouded) == (0, share)


@pytest.mark.parametrize(
    ("pixel_m", "narrow", "broad"),
    [
        (5.0, 9, 11),  # 5 px around: 11 px, of which nine tenths must be filled
        (1.0, 45, 51),
        (0.1, 58, 65),  # never more than 32 px around
        (30.0, 8, 9),  # never fewer than 4
        (None, 29, 33),  # 16 px around if nothing is known
    ],
)
def test_what_is_narrow_on_the_ground_is_no_cloud(
    sampled: Sampled, pixel_m: float | None, narrow: int, broad: int
) -> None:
    clear = ground()
    for width, expected in ((narrow, 0.0), (broad, broad / SIDE)):
        after = covered(clear, 90, 0, 90 + width, SIDE)
        assert shares(sampled, clear, after, pixel_m) == (0, pytest.approx(expected))


def test_a_cloud_is_far_brighter_than_the_other_date_there(sampled: Sampled) -> None:
    """Ground from 100 to 101 to one side, on which it is known how far."""
    clear = ground()
    clear[:, 120:] = 100 + clear[:, 120:] % 2
    for brighter, expected in ((BRIGHTER_BY - 4, 0.0), (BRIGHTER_BY + 4, 80 * 80 / SIDE**2)):
        after = covered(clear, 140, 60, 220, 140, 100 + brighter)
        assert shares(sampled, clear, after)[1] == pytest.approx(expected)


def test_a_cloud_is_brighter_than_nearly_all_of_the_other_date(sampled: Sampled) -> None:
    """Where a twentieth of the ground is as white (snow, say) nothing as white is a cloud."""
    clear = ground()
    clear[:12] = 230
    after = covered(clear, 60, 60, 180, 180, 220)
    assert shares(sampled, clear, after) == (0, 0)


def test_what_is_bright_in_a_colour_is_no_cloud(sampled: Sampled) -> None:
    clear = ground()
    assert shares(sampled, clear, covered(clear, 60, 60, 180, 180, (250, 250, 100))) == (0, 0)
    assert shares(sampled, clear, covered(clear, 60, 60, 180, 180, (250, 250, 200)))[1] == 0.25


def test_where_the_edges_of_the_other_date_show_it_is_ground(sampled: Sampled) -> None:
    """Overexposed: a fifth of the contrast is left."""
    clear = ground()
    bleached = clear.copy()
    bleached[60:180, 60:180] = 230 + (clear[60:180, 60:180].astype(int) - 90) // 5
    assert shares(sampled, clear, bleached) == (0, 0)
    other = ground(seed=5)
    bleached[60:180, 60:180] = 230 + (other[60:180, 60:180].astype(int) - 90) // 5
    assert shares(sampled, clear, bleached)[1] == pytest.approx(0.25)


def test_invalid_pixels_count_neither_as_cloud_nor_as_ground(sampled: Sampled) -> None:
    clear, valid = ground(), np.ones((SIDE, SIDE), bool)
    valid[:, :120] = False
    after = covered(clear, 60, 0, 180, SIDE)
    assert shares(sampled, clear, after, valid=valid)[1] == pytest.approx(60 / 120)


def test_patches_of_any_size_count_by_their_pixels() -> None:
    clear = ground()
    cloud = covered(clear, 0, 0, SIDE, SIDE)
    everything = np.ones((SIDE, SIDE), bool)

    def patch(after: Image, width: int) -> Patch:
        bands = [image.transpose(2, 0, 1)[:, :, :width] for image in (clear, after)]
        return Patch(0, 0, bands[0], bands[1], everything[:, :width])

    patches = patch(cloud, 60), patch(clear, 240)
    byte = np.dtype(np.uint8)
    sample = Sample(patches, (byte, byte), False, 1.0)
    assert cloud_shares(sample, AS_IT_IS, 5) == (0, pytest.approx(60 / 300))


def test_the_values_are_those_of_the_radiometry(sampled: Sampled) -> None:
    """A date recorded at a tenth of the scale is as bright as the other once it is stretched."""
    clear = ground()
    after = covered(clear, 60, 60, 180, 180)
    tenth = Radiometry((10,) * 3, (0,) * 3, (0,) * 3, (255,) * 3, (0,) * 3, (0,) * 3)
    sample = sampled(clear, after.astype(np.float32) / 10)
    assert cloud_shares(sample, tenth, 5) == (0, pytest.approx(0.25))
