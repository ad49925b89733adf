import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine
from rasterio.warp import Resampling, calculate_default_transform, reproject
from scipy import ndimage

from terradelta.errors import InputError
from terradelta.geo.check_picture import draw_check
from terradelta.geo.clouds import cloud_shares
from terradelta.geo.comparable import Verdict, check_pair
from terradelta.geo.radiometry import relative_normalisation
from terradelta.geo.sample import Sample
from terradelta.geo.stretch import scene_radiometry
from terradelta.synth import Scene

Write = Callable[..., Path]
Sampled = Callable[..., Sample]
OWN_SHIFT = np.array([-0.35, 0.25])
NAIP = Path(__file__).parents[3] / "shared" / "data" / "naip_series"


def bands(image: np.ndarray) -> np.ndarray:
    return image.transpose(2, 0, 1)


def clouded(image: np.ndarray, share: float) -> np.ndarray:
    """Soft white blobs over a share of an image, seen from above: bright, faintly structured."""
    random = np.random.default_rng(0)
    field = ndimage.gaussian_filter(random.normal(size=image.shape[:2]), 40)
    edge = np.quantile(field, 1 - share)
    opacity = np.clip((field - edge) / (0.2 * field.std()) + 0.5, 0, 1)[..., None]
    white = 235 + 60 * ndimage.gaussian_filter(random.normal(size=image.shape[:2]), 8)[..., None]
    noise = random.normal(0, 1.5, image.shape)
    return np.clip(image * (1 - opacity) + white * opacity + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def pair(write: Write, village: Scene) -> tuple[Path, Path]:
    place = village.transform
    return (
        write("before.tif", bands(village.before), place),
        write("after.tif", bands(village.after), place),
    )


def test_everything_wrong_at_once_is_found_with_its_size(write: Write, village: Scene) -> None:
    """Another CRS, another resolution, a shift of (1.5, -2) px and a gain of 0.8, among changes."""
    before = write("before.tif", bands(village.before), village.transform)
    plain = check_pair(before, write("plain.tif", bands(village.after), village.transform))
    off = village.transform * Affine.translation(1.5, -2)
    bounds = rasterio.transform.array_bounds(640, 640, off)
    place, width, height = calculate_default_transform(
        "EPSG:32633", "EPSG:32632", 640, 640, *bounds, resolution=0.45
    )
    later = np.zeros((3, height, width), np.uint16)
    reproject(
        (bands(village.after) * 80.0).astype(np.uint16),
        later,
        src_transform=off,
        src_crs="EPSG:32633",
        dst_transform=place,
        dst_crs="EPSG:32632",
        resampling=Resampling.cubic,
        src_nodata=0,
        dst_nodata=0,
    )
    wide = write("wide.tif", (bands(village.before) * 100.0).astype(np.uint16), village.transform)
    found = check_pair(wide, write("after.tif", later, place, crs="EPSG:32632", nodata=0))
    assert found.verdict is Verdict.correction
    assert np.hypot(*(np.array(found.shift.shift) - OWN_SHIFT - (1.5, -2))) < 0.2
    assert np.hypot(*(np.array(found.shift_m) / 0.5 - found.shift.shift)) < 0.01
    gains = np.array(found.normalisation.measured[0]) / plain.normalisation.measured[0]
    np.testing.assert_allclose(gains, 0.8, rtol=0.02)
    told = " ".join(found.reasons)
    assert "EPSG:32633 and EPSG:32632" in told
    assert "move it by (-1." in told
    assert "radiometry differs" in told


def test_a_good_pair_needs_no_correction(write: Write, village: Scene) -> None:
    before = write("a.tif", bands(village.before), village.transform)
    noisy = village.before + np.random.default_rng(0).normal(0, 2, village.before.shape)
    noisy[100:180, 200:300] = (190, 80, 60)
    after = write("b.tif", bands(np.clip(noisy, 0, 255).astype(np.uint8)), village.transform)
    found = check_pair(before, after)
    assert (found.verdict, found.reasons, found.notes) == (Verdict.comparable, (), ())
    assert found.shift.length < 0.05
    assert found.clouds == (0, 0)


@pytest.mark.parametrize("shift", [5, -6])
def test_a_shift_of_five_pixels_that_no_georeference_explains(
    write: Write, village: Scene, shift: int
) -> None:
    before = write("a.tif", bands(village.before), village.transform)
    moved = write("b.tif", bands(np.roll(village.after, shift, 0)), village.transform)
    found = check_pair(before, moved)
    assert found.verdict is Verdict.no
    assert "more than the 4 px" in found.reasons[0]
    # The same picture where its georeference says so is fine.
    place = village.transform * Affine.translation(0, -shift)
    explained = check_pair(before, write("c.tif", bands(np.roll(village.after, shift, 0)), place))
    assert explained.verdict is Verdict.correction
    assert explained.shift.length < 0.6


def test_a_shift_that_differs_from_place_to_place(write: Write, village: Scene) -> None:
    before = write("a.tif", bands(village.before), village.transform)
    turned = ndimage.rotate(village.after, 1, reshape=False, order=1, mode="nearest")
    found = check_pair(before, write("b.tif", bands(turned), village.transform))
    assert found.verdict is Verdict.no
    assert "differs from place to place" in found.reasons[0]


def test_another_place_under_the_same_coordinates(write: Write, village: Scene) -> None:
    before = write("a.tif", bands(village.before), village.transform)
    other = write("b.tif", bands(village.before[::-1, ::-1]), village.transform)
    found = check_pair(before, other)
    assert found.verdict is Verdict.no
    assert "not the same place" in found.reasons[0]
    assert found.shift_m is None
    json.dumps(found.describe(), allow_nan=False)
    assert draw_check(found).shape[2] == 3


@pytest.mark.parametrize("date", ["before", "after"])
def test_clouds_are_measured_and_stop_the_comparison(
    write: Write, village: Scene, date: str
) -> None:
    images = {"before": village.before, "after": village.after}
    images[date] = clouded(images[date], 0.4)
    files = [
        write(f"{name}.tif", bands(image), village.transform) for name, image in images.items()
    ]
    found = check_pair(*files)
    assert found.verdict is Verdict.no
    assert found.clouds[("before", "after").index(date)] == pytest.approx(0.4, abs=0.06)
    assert found.clouds[("after", "before").index(date)] == 0
    assert f"of {date} looks like cloud" in found.reasons[0]


@pytest.mark.parametrize("share", [0, 0.1, 0.7])
def test_the_share_of_clouds(village: Scene, sampled: Sampled, share: float) -> None:
    after = clouded(village.after, share) if share else village.after
    sample = sampled(village.before, after)
    radiometry = scene_radiometry(sample, relative_normalisation(sample))
    before_share, after_share = cloud_shares(sample, radiometry, 0.5)
    assert before_share == 0
    assert after_share == pytest.approx(share, abs=0.05)


def test_white_roofs_and_pale_ground_are_no_clouds(village: Scene, sampled: Sampled) -> None:
    after = village.after.copy()
    after[100:160, 100:150] = 240  # a new white roof of 30 by 25 m
    bleached = 120 + village.before[300:600, 300:600] // 2  # overexposed, its edges still there
    after[300:600, 300:600] = bleached
    sample = sampled(village.before, after)
    radiometry = scene_radiometry(sample, relative_normalisation(sample))
    assert max(cloud_shares(sample, radiometry, 0.5)) < 0.01


def test_two_plain_pictures_of_one_size(tmp_path: Path, village: Scene) -> None:
    for name, image in (("a", village.before), ("b", np.roll(village.after, 2, 1))):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    found = check_pair(tmp_path / "a.png", tmp_path / "b.png")
    assert found.common is None
    assert found.shift_m is None
    np.testing.assert_allclose(found.shift.shift, OWN_SHIFT + np.array([2, 0]), atol=0.2)
    assert found.describe()["grid"]["crs"] is None


def test_plain_pictures_of_two_sizes(tmp_path: Path, village: Scene) -> None:
    Image.fromarray(village.before).save(tmp_path / "a.png")
    Image.fromarray(village.before[:100]).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"640 x 640 px.*640 x 100 px.*differ in size"):
        check_pair(tmp_path / "a.png", tmp_path / "b.png")


def test_only_one_with_a_place(tmp_path: Path, pair: tuple[Path, Path], village: Scene) -> None:
    Image.fromarray(village.before).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png has no CRS"):
        check_pair(pair[0], tmp_path / "a.png")


def test_grey_and_colour_are_not_compared(write: Write, village: Scene) -> None:
    colour = write("a.tif", bands(village.before), village.transform)
    grey = write("b.tif", bands(village.after)[:1], village.transform)
    assert "one band" in check_pair(colour, grey).reasons[0]
    assert check_pair(grey, grey).verdict is Verdict.comparable


def test_dates_in_the_wrong_order_are_noted(write: Write, village: Scene) -> None:
    files = []
    for name, year in (("a.tif", 2021), ("b.tif", 2019)):
        path = write(name, bands(village.before), village.transform)
        with rasterio.open(path, "r+") as target:
            target.update_tags(TIFFTAG_DATETIME=f"{year}:05:01 10:00:00")
        files.append(path)
    assert "2021-05-01 10:00:00, 2019-05-01 10:00:00" in check_pair(*files).notes[0]
    assert not any("order" in note for note in check_pair(*files[::-1]).notes)


def test_hardly_any_common_data(write: Write, village: Scene) -> None:
    masks = np.zeros((2, 640, 640), np.uint8)
    masks[0, :, :340], masks[1, :, 320:] = 255, 255
    files = [
        write(f"{n}.tif", bands(village.before), village.transform, mask=mask)
        for n, mask in enumerate(masks)
    ]
    found = check_pair(*files)
    assert found.sample.valid_share == pytest.approx(20 / 640)
    assert found.verdict is Verdict.no
    assert "only 3.1% of the overlap holds data" in found.reasons[0]


def test_no_data_at_all_names_both_files(write: Write, village: Scene) -> None:
    before = write("a.tif", bands(village.before), village.transform)
    empty = write("b.tif", np.zeros((3, 640, 640), np.uint8), village.transform, nodata=0)
    with pytest.raises(InputError, match=r"nothing to compare in .*a\.tif and .*b\.tif"):
        check_pair(before, empty)


def test_the_description_is_plain(pair: tuple[Path, Path]) -> None:
    told = check_pair(*pair).describe()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["verdict"] == "comparable after correction"
    assert told["radiometry"]["after_is_gain_times_before"] == pytest.approx([1, 1, 1], abs=0.2)


def test_the_picture_shows_both_dates_and_an_arrow_where_it_points(
    write: Write, village: Scene
) -> None:
    image = np.full_like(village.before, 60)
    image[:] = village.before // 4
    before = write("a.tif", bands(image), village.transform)
    after = write("b.tif", bands(np.roll(image, 3, 1)), village.transform)
    found = check_pair(before, after)
    picture: Any = draw_check(found).astype(int)
    assert picture.shape == (640 + 24, 2 * 640 + 8, 3)
    np.testing.assert_array_equal(picture[:640, :640], image)
    yellow = (picture[:640, 648:] == (255, 225, 0)).all(-1)
    window = found.shift.windows[0]
    x, y = round(window.x), round(window.y)
    # To the right of the middle of the window lies its arrow, 48 px long, and none to the left.
    assert yellow[y - 2 : y + 3, x + 5 : x + 40].any(0).all()
    assert not yellow[y - 2 : y + 3, x - 12 : x - 4].any()


@pytest.mark.skipif(not NAIP.is_dir(), reason="needs the shared imagery")
@pytest.mark.parametrize("years", [("20090818", "20190904"), ("20100629", "20170827")])
def test_registered_real_dates_may_be_compared(years: tuple[str, str]) -> None:
    found = check_pair(*(NAIP / f"{date}.png" for date in years))
    assert found.verdict is not Verdict.no
    assert found.shift.length < 1
    assert max(found.clouds) < 0.05
