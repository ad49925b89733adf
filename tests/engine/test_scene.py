import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import Affine

from terradelta import AnyChange
from terradelta.engine import Asking, Curation, label_scene
from terradelta.engine.labels import names_in, read_label
from terradelta.errors import UsageError
from terradelta.geo.files import write_geotiff
from terradelta.run import detect_scene
from terradelta.synth import make_scene
from terradelta.train import open_pairs

HEIGHT, WIDTH, CROP = 150, 200, 64
CRS, TRANSFORM = "EPSG:32631", Affine(0.5, 0, 600_000, 0, -0.5, 5_700_000)


@pytest.fixture(scope="module")
def rasters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two dates of 200 x 150 px; *after* has no data in its left 70 columns."""
    scene = make_scene(256, seed=4)
    folder = tmp_path_factory.mktemp("rasters")
    paths = folder / "before.tif", folder / "after.tif"
    for path, image in zip(paths, (scene.before, scene.after), strict=True):
        pixels = np.maximum(image[:HEIGHT, :WIDTH], 1)
        if path.name == "after.tif":
            pixels[:, :70] = 0
        write_geotiff(path, pixels, CRS, TRANSFORM, nodata=0)
    return paths


@pytest.fixture(scope="module")
def labelled(rasters: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels")
    label_scene(*rasters, AnyChange(), out, crop=CROP, asking=Asking(soft=True))
    return out


def test_squares_with_data_are_cut_and_all_of_one_size(labelled: Path) -> None:
    names = names_in(labelled)
    # Columns 0 to 63 have no data in *after*.
    assert names == [f"{top:05d}_{left:05d}" for top in (0, 64, 128) for left in (64, 128, 192)]
    for name in names:
        assert read_label(labelled, name).pair.shape == (CROP, CROP)


def test_put_together_again_they_are_the_scene(
    labelled: Path, rasters: tuple[Path, Path], tmp_path: Path
) -> None:
    detect_scene(*rasters, tmp_path, model=AnyChange())
    with rasterio.open(tmp_path / "change_mask.tif") as source:
        mask = source.read(1) > 0
    with rasterio.open(tmp_path / "score.tif") as source:
        score = source.read(1)
    with rasterio.open(rasters[0]) as source:
        before = np.moveaxis(source.read(), 0, -1)
    whole = np.zeros((192, 256), bool)
    known, pictures = whole.copy(), np.zeros((192, 256, 3), np.uint8)
    for name in names_in(labelled):
        top, left = map(int, name.split("_"))
        there = np.s_[top : top + CROP, left : left + CROP]
        read = read_label(labelled, name)
        whole[there], known[there], pictures[there] = read.changed, read.known, read.pair.before
        assert read.chance is not None
        assert ((read.chance > 0.5) == read.changed)[read.known].all()
    inside = np.s_[:HEIGHT, 70:WIDTH]
    assert mask.any()
    assert (whole[inside] == mask[inside]).all()
    assert (known[:HEIGHT, :WIDTH] == np.isfinite(score)).all()
    assert not known[HEIGHT:].any()
    assert not known[:, WIDTH:].any()
    # An 8-bit *before* keeps its values.
    assert (pictures[inside] == before[inside]).all()


def test_the_label_says_where_it_lies(labelled: Path, rasters: tuple[Path, Path]) -> None:
    told = json.loads((labelled / "provenance" / "00064_00128.json").read_text())
    assert told["crs"] == CRS
    assert told["transform"] == [0.5, 0, 600_064, 0, -0.5, 5_699_968]
    assert told["before"]["source"].endswith("before.tif")
    assert len(told["after"]["sha256"]) == 64
    with rasterio.open(labelled / "soft" / "00064_00128.tif") as source:
        assert list(source.transform)[:6] == told["transform"]


def test_what_has_no_data_is_left_out_of_training(labelled: Path) -> None:
    label = open_pairs(labelled, "train", soft=True)[0][2]
    assert (label[:, :6] == 255).all()
    assert (label[:, 6:] <= 1).all()


def test_the_same_call_goes_on_and_another_is_refused(
    labelled: Path, rasters: tuple[Path, Path]
) -> None:
    gone = labelled / "label" / "00064_00128.png"
    with Image.open(gone) as image:
        was = np.asarray(image)
    gone.unlink()
    made = label_scene(*rasters, AnyChange(), labelled, crop=CROP, asking=Asking(soft=True))
    assert len(made) == 9
    with Image.open(gone) as image:
        assert (np.asarray(image) == was).all()
    with pytest.raises(UsageError, match="crop was 64, is 32"):
        label_scene(*rasters, AnyChange(), labelled, crop=32, asking=Asking(soft=True))


def test_squares_are_curated_as_pairs_are(rasters: tuple[Path, Path], tmp_path: Path) -> None:
    made = label_scene(
        *rasters, AnyChange(), tmp_path, crop=CROP, curation=Curation(most_changed=0.0)
    )
    fractions = [
        json.loads(path.read_text())["changed_fraction"]
        for path in (tmp_path / "dropped").glob("*.json")
    ]
    assert made.summary["dropped"]["too much change"] == len(fractions) > 0
    assert min(fractions) > 0
    assert len(made) + len(fractions) == 9


def test_ways_that_need_a_pair_are_refused(rasters: tuple[Path, Path], tmp_path: Path) -> None:
    for asking in (Asking(click_from_truth=True), Asking(both_dates=True)):
        with pytest.raises(UsageError, match="are for pairs"):
            label_scene(*rasters, AnyChange(), tmp_path, asking=asking)
    with pytest.raises(UsageError, match="at least 16 px"):
        label_scene(*rasters, AnyChange(), tmp_path, crop=8)
