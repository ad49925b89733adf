"""A made scene of 300 x 220 px seen by a network that can be worked out by hand (`toy`)."""

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine
from scipy import ndimage

from terradelta import AnyChange, detect_scene
from terradelta.detectors.changes import DetectorModel, load_change_detector
from terradelta.errors import UsageError
from terradelta.run import SceneResult
from terradelta.run import scene as scene_module

from ..detectors.toy import register, saved
from .same import assert_same_results, interrupted_after, score

WIDTH, HEIGHT = 300, 220
TRANSFORM = Affine(0.5, 0, 500_003.5, 0, -0.5, 5_400_010.5)
"""Neither axis begins at a multiple of 32 px, so that windows are cut at every side."""
AS_IT_IS: dict[str, Any] = {"normalise": False}
TILES: dict[str, Any] = {"tile": 96, "halo": 32, **AS_IT_IS}
Paths = tuple[Path, Path]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """Smooth noise of 255 levels; nothing is known of a stripe across *after*."""
    folder = tmp_path_factory.mktemp("scene")
    random = np.random.default_rng(3)
    paths = folder / "before.tif", folder / "after.tif"
    for path in paths:
        smooth = ndimage.gaussian_filter(random.normal(size=(3, HEIGHT, WIDTH)), (0, 6, 6))
        levels = np.clip(128 + smooth * 1200, 1, 255).astype(np.uint8)
        if path is paths[1]:
            levels[:, np.abs(np.subtract.outer(range(HEIGHT), range(WIDTH))) < 3] = 0
        with rasterio.open(
            path, "w", driver="GTiff", dtype="uint8", count=3, width=WIDTH, height=HEIGHT,
            crs="EPSG:32633", transform=TRANSFORM, nodata=0,
        ) as target:  # fmt: skip
            target.write(levels)
    return paths


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DetectorModel:
    register(monkeypatch)
    return load_change_detector(saved(tmp_path / "toy", level=68, reach=5))


def mask_of(folder: Path) -> NDArray[np.bool_]:
    with rasterio.open(folder / "change_mask.tif") as source:
        return np.asarray(source.read(1) > 0)


def table(folder: Path) -> geopandas.GeoDataFrame:
    return geopandas.read_file(folder / "changes.gpkg", layer="changes")


def outlines(folder: Path) -> list[bytes]:
    return sorted(shapely.to_wkb(shapely.normalize(table(folder).geometry.values)))


def test_the_answer_is_that_of_the_image_however_the_scene_is_tiled(
    pair: Paths, model: DetectorModel, tmp_path: Path
) -> None:
    """The network sees 5 px far, half of a halo of 32 px is 16. Beside the gap in the data it sees what
    is filled in there, which an image takes from itself and a scene from a sample."""
    whole = model.detect(*pair)
    known = whole.pair.valid
    beside = ndimage.binary_dilation(~known, np.ones((11, 11))) & known
    found, count = [], 0
    for number, tiles in enumerate(({}, {"tile": 96, "halo": 32}, {"tile": 64, "halo": 32})):
        out = tmp_path / str(number)
        found.append(detect_scene(*pair, out, model=model, **tiles, **AS_IT_IS))
        np.testing.assert_array_equal(np.isfinite(score(out)), known)
        far = known & ~beside
        np.testing.assert_allclose(score(out)[far], whole.score_image()[far], atol=2e-5)
        clear = far & (np.abs(whole.score_image() - 0.5) > 2e-5)
        np.testing.assert_array_equal(mask_of(out)[clear], whole.to_mask()[clear])
        np.testing.assert_allclose(score(out), score(tmp_path / "0"), atol=2e-5)
        assert outlines(out) == outlines(tmp_path / "0")
        _, count = ndimage.label(mask_of(out), np.ones((3, 3)))
    assert [len(one) for one in found] == [count] * 3
    assert count > 5
    assert [one.record["tiles"]["count"] for one in found] == [1, 16, 25]


@pytest.fixture
def tiled(pair: Paths, model: DetectorModel, tmp_path: Path) -> SceneResult:
    return detect_scene(*pair, tmp_path / "tiled", model=model, **TILES)


def test_an_interrupted_run_goes_on_to_the_same_results(
    pair: Paths, model: DetectorModel, tiled: SceneResult, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    with pytest.raises(KeyboardInterrupt):
        detect_scene(*pair, out, model=model, progress=interrupted_after(5), **TILES)
    journal = out / ".run" / "journal.jsonl"
    assert len(journal.read_text().splitlines()) == 5
    detect_scene(*pair, out, model=model, **TILES)
    assert len(journal.read_text().splitlines()) == tiled.record["tiles"]["count"]
    assert_same_results(out, tmp_path / "tiled")


def test_the_columns_are_those_of_every_scene_and_empty_where_a_detector_knows_nothing(
    tiled: SceneResult,
) -> None:
    written = table(tiled.files[0].parent)
    assert list(written.columns) == [
        "id", "angle", "score", "iou", "stability", "date", "area_m2", "perimeter_m",
        "valid_fraction", "model", "review", "geometry",
    ]  # fmt: skip
    assert written["id"].tolist() == list(range(1, len(written) + 1))
    assert (np.diff(written["score"]) <= 0).all()
    assert written["score"].between(0.5, 1).all()
    assert written[["angle", "iou", "stability"]].isna().all(axis=None)
    assert set(written["date"]) == {"both"}
    assert set(written["model"]) == {"toy"}
    assert written["valid_fraction"].between(0, 1).all()
    assert (written["valid_fraction"] < 1).any()


def test_the_record_tells_the_detector_and_its_threshold(tiled: SceneResult) -> None:
    record = json.loads((tiled.files[0].parent / "run.json").read_text())
    assert record["model"] == "toy"
    assert record["detector"] == {"classes": 1, "reach": 5}
    assert record["threshold_probability"] == 0.5
    assert "threshold_deg" not in record
    assert record["score_image"] == "probability of change"
    assert record["changed_fraction"] == pytest.approx(
        mask_of(tiled.files[0].parent).mean(), abs=1e-6
    )


def test_another_threshold_uses_the_tiles_that_are_there(
    pair: Paths, model: DetectorModel, tiled: SceneResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiled.files[0].parent
    usual = mask_of(folder)
    monkeypatch.setattr(scene_module, "examine", pytest.fail)
    strict = detect_scene(*pair, folder, model=model, threshold=0.9, **TILES)
    assert strict.record["asked"] == {"threshold": 0.9}
    np.testing.assert_array_equal(mask_of(folder), model.detect(*pair, threshold=0.9).to_mask())
    assert mask_of(folder).sum() < usual.sum()


def test_other_weights_are_refused(
    pair: Paths, tiled: SceneResult, tmp_path: Path, model: DetectorModel
) -> None:
    other = load_change_detector(saved(tmp_path / "other", level=69, reach=5))
    with pytest.raises(UsageError, match="began with weights_sha256"):
        detect_scene(*pair, tiled.files[0].parent, model=other, **TILES)


def test_the_search_is_limited_to_the_area_of_interest(
    pair: Paths, model: DetectorModel, tiled: SceneResult, tmp_path: Path
) -> None:
    x, y = TRANSFORM.c, TRANSFORM.f
    area = shapely.box(x + 60, y - 100, x + 120, y - 40)  # columns 120 to 240, rows 80 to 200
    geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32633").to_file(tmp_path / "aoi.gpkg")
    out = tmp_path / "out"
    result = detect_scene(*pair, out, model=model, aoi=tmp_path / "aoi.gpkg", **TILES)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[80:200, 120:240] = True
    inside &= np.isfinite(score(tiled.files[0].parent))
    np.testing.assert_array_equal(np.isfinite(score(out)), inside)
    assert 0 < len(result) < len(tiled)
    np.testing.assert_array_equal(mask_of(out), mask_of(tiled.files[0].parent) & inside)


@pytest.mark.parametrize(
    "asked", [{"angle": 25.0}, {"top_k": 3}, {"threshold": "otsu"}, {"threshold": 1.5}]
)
def test_what_is_no_way_to_choose_for_a_detector_is_refused(
    pair: Paths, model: DetectorModel, tmp_path: Path, asked: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="probability"):
        detect_scene(*pair, tmp_path / "out", model=model, **asked)
    assert not (tmp_path / "out").exists()


def test_a_probability_is_no_way_to_choose_for_anychange(pair: Paths, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the threshold 0\.7 is a detector's probability"):
        detect_scene(*pair, tmp_path / "out", model=AnyChange(), threshold=0.7)


def test_a_halo_that_its_strides_would_use_up_is_refused(
    pair: Paths, model: DetectorModel, tmp_path: Path
) -> None:
    """Half of it must be left of a window that is cut to a multiple of 4 px."""
    with pytest.raises(UsageError, match="the halo is 6 px: with this model it must be at least 8"):
        detect_scene(*pair, tmp_path / "out", model=model, tile=96, halo=6)
