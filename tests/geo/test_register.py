import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from terradelta.geo.register import shift_field
from terradelta.geo.sample import Sample
from terradelta.synth import Scene

Sampled = Callable[..., Sample]
OWN_SHIFT = np.array([-0.35, 0.25])
"""Of the made scene's *after*: its camera looks (0.35, -0.25) px beside the grid."""
NAIP = Path(__file__).parents[3] / "shared" / "data" / "naip_series"


def moved(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """The picture displaced by (x, y) pixels, by cubic splines."""
    shifted = ndimage.shift(image.astype(float), (y, x, 0), order=3, mode="nearest")
    return np.clip(shifted + 0.5, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("shift", [(0, 0), (1.5, 0), (-2.3, 4.6), (0.5, 0.5), (17, -9), (-30, 25)])
def test_a_shift_is_found_within_a_fifth_of_a_pixel_among_real_changes(
    village: Scene, sampled: Sampled, shift: tuple[float, float]
) -> None:
    field = shift_field(sampled(village.before, moved(village.after, *shift)))
    assert np.hypot(*(np.array(field.shift) - OWN_SHIFT - shift)) < 0.2
    assert field.residual < 0.4
    assert field.inliers > 0.9
    assert field.found > 0.8
    np.testing.assert_allclose(field.correction, -np.array(field.shift))


def test_the_correction_of_the_shift_removes_it(village: Scene, sampled: Sampled) -> None:
    off = moved(village.before, 2.4, -1.3)
    field = shift_field(sampled(village.before, off))
    again = shift_field(sampled(village.before, moved(off, *field.correction)))
    assert field.length == pytest.approx(math.hypot(2.4, 1.3), abs=0.05)
    assert again.length < 0.05


@pytest.mark.parametrize("gain", [0.4, 1.3])
def test_brightness_and_type_do_not_matter(village: Scene, sampled: Sampled, gain: float) -> None:
    plain = shift_field(sampled(village.before, village.after))
    altered = (village.after * gain * 100 + 500).astype(np.uint16)
    field = shift_field(sampled(village.before, altered))
    np.testing.assert_allclose(field.shift, plain.shift, atol=0.021)


def test_a_negative_of_a_picture_lies_where_it_did(village: Scene, sampled: Sampled) -> None:
    field = shift_field(sampled(village.before, 255 - moved(village.before, 3, 2)))
    np.testing.assert_allclose(field.shift, (3, 2), atol=0.05)


@pytest.mark.parametrize("kind", ["turned", "enlarged"])
def test_a_distortion_leaves_a_residual(village: Scene, sampled: Sampled, kind: str) -> None:
    if kind == "turned":
        after = ndimage.rotate(village.before, 1, reshape=False, order=1, mode="nearest")
    else:
        after = ndimage.zoom(village.before, (1.02, 1.02, 1), order=1)[:640, :640]
    field = shift_field(sampled(village.before, after))
    assert field.residual > 1.5
    assert field.inliers < 0.5
    # The arrows grow from the fixed point, by the turn or the enlargement.
    middle = 320 if kind == "turned" else 0
    for window in field.windows[::10]:
        expected = math.hypot(window.x - middle, window.y - middle) * (
            math.radians(1) if kind == "turned" else 0.02
        )
        assert math.hypot(window.dx, window.dy) == pytest.approx(expected, abs=0.8)


def test_a_displaced_part_shows_in_the_farthest_tenth(village: Scene, sampled: Sampled) -> None:
    after = village.before.copy()
    after[:, 420:] = np.roll(village.before, 5, axis=0)[:, 420:]
    field = shift_field(sampled(village.before, after))
    assert field.length < 0.1
    assert field.residual < 0.1
    assert field.farthest == pytest.approx(5, abs=0.2)


def test_the_edge_of_the_data_is_no_edge(village: Scene, sampled: Sampled) -> None:
    """A mask that stays in its place does not hold the picture there."""
    valid = np.ones((640, 640), bool)
    valid[::40, ::3] = False
    valid[200:330, 100:400] = False
    field = shift_field(sampled(village.before, moved(village.before, 2, -3), valid))
    np.testing.assert_allclose(field.shift, (2, -3), atol=0.1)
    for window in field.windows:
        x, y = (round(v) for v in (window.x, window.y))
        assert valid[y - 64 : y + 64, x - 64 : x + 64].mean() > 0.9


@pytest.mark.parametrize("kind", ["flipped", "noise", "even"])
def test_where_nothing_matches_nothing_is_claimed(
    village: Scene, sampled: Sampled, kind: str
) -> None:
    after = {
        "flipped": village.before[::-1, ::-1],
        "noise": np.random.default_rng(0).integers(0, 256, village.before.shape).astype(np.uint8),
        "even": np.full_like(village.before, 90),
    }[kind]
    field = shift_field(sampled(village.before, after))
    assert not field.measured
    assert math.isnan(field.length)
    told = field.describe()
    assert told["shift_px"] is told["residual_px"] is None
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("size", [1, 20, 40, 70, 130])
def test_small_images(village: Scene, sampled: Sampled, size: int) -> None:
    part = village.before[200 : 200 + size, 200 : 200 + size]
    field = shift_field(sampled(part, part))
    assert not field.measured or field.length < 0.05
    assert field.measured == (size >= 40)


def test_windows_tell_where_they_lie(village: Scene, sampled: Sampled) -> None:
    field = shift_field(sampled(village.before, village.before))
    places = {(window.x, window.y) for window in field.windows}
    # Patches begin at 0 and 512; windows of 128 px at every 64.
    assert {(64, 64), (448, 448), (576, 64), (576, 576)} <= places
    assert all(0 < x < 640 and 0 < y < 640 for x, y in places)


@pytest.mark.skipif(not NAIP.is_dir(), reason="needs the shared imagery")
@pytest.mark.parametrize("dates", [("20090818", "20200831"), ("20120731", "20180716")])
def test_real_dates_years_apart(sampled: Sampled, dates: tuple[str, str]) -> None:
    before, after = (np.asarray(Image.open(NAIP / f"{date}.png").convert("RGB")) for date in dates)
    own = shift_field(sampled(before, after))
    assert own.length < 1
    assert own.inliers > 0.85
    off = shift_field(sampled(before, np.roll(after, (-3, 5), (0, 1))))
    np.testing.assert_allclose(np.array(off.shift) - own.shift, (5, -3), atol=0.15)
