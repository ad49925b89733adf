import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry import box, shape

from terradelta import AnyChange, Changes, __version__
from terradelta.errors import OutputError
from terradelta.geo.pair import Pair
from terradelta.geo.reader import Georeference
from terradelta.zeroshot.changes import angle_as_grey
from terradelta.zeroshot.outputs import describe_run

PLAIN = ["changes.geojson", "change_mask.png", "score.png", "overlay.png", "run.json"]
PLACED = ["changes.gpkg", "change_mask.tif", "score.tif", "overlay.png", "run.json"]
SHAPE = (60, 90)


def masks_by_hand() -> NDArray[np.bool_]:
    dense = np.zeros((2, *SHAPE), bool)
    dense[0, 10:30, 20:50] = True
    dense[0, 15:20, 30:40] = False
    dense[1, 40:50, 60:80] = True
    return dense


@pytest.fixture
def plain(make_changes: Callable[..., Changes], make_pair: Callable[..., Pair]) -> Changes:
    return make_changes(masks_by_hand(), [60, 45], ["after", "before"], pair=make_pair(SHAPE))


@pytest.fixture
def placed(
    make_changes: Callable[..., Changes], make_pair: Callable[..., Pair], place: Georeference
) -> Changes:
    pair = make_pair(SHAPE, georeference=place)
    pair.valid[:, :10] = False
    return make_changes(masks_by_hand(), [60, 45], ["after", "before"], pair=pair)


def read_run(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize(("kind", "names"), [("plain", PLAIN), ("placed", PLACED)])
def test_the_files_are_those_and_nothing_temporary_stays(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, names: list[str]
) -> None:
    changes: Changes = request.getfixturevalue(kind)
    assert [path.name for path in changes.save(tmp_path)] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert read_run(tmp_path)["files"] == names


@pytest.mark.parametrize("kind", ["plain", "placed"])
def test_saving_again_replaces_every_file(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    changes: Changes = request.getfixturevalue(kind)
    for path in changes.save(tmp_path):
        path.write_bytes(b"of an earlier run")
    for path in changes.save(tmp_path):
        assert path.read_bytes() != b"of an earlier run"


def test_polygons_of_a_plain_pair_are_geojson_in_pixels(plain: Changes, tmp_path: Path) -> None:
    plain.save(tmp_path)
    collection = json.loads((tmp_path / "changes.geojson").read_text())
    assert collection["type"] == "FeatureCollection"
    assert collection["coordinate_system"] == "pixels, origin top left, x right, y down"
    assert "crs" not in collection
    ring, block = collection["features"]
    assert ring["properties"] == {
        "id": 1,
        "date": "after",
        "angle": 60.0,
        "score": -0.5,
        "iou": 0.9,
        "stability": 1.0,
        "area_px": 550,
    }
    assert shape(ring["geometry"]).equals(box(20, 10, 50, 30) - box(30, 15, 40, 20))
    assert shape(block["geometry"]).equals(box(60, 40, 80, 50))


def test_images_of_a_plain_pair_are_grey_png(plain: Changes, tmp_path: Path) -> None:
    plain.save(tmp_path)
    mask = np.asarray(Image.open(tmp_path / "change_mask.png"))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, np.where(masks_by_hand().any(0), 255, 0))
    score = np.asarray(Image.open(tmp_path / "score.png"))
    ring, block = masks_by_hand()
    assert set(score[ring]) == {170}
    assert set(score[block]) == {128}
    assert set(score[~(ring | block)]) == {0}
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "overlay.png")), plain.overlay())


@pytest.mark.parametrize(
    ("angle", "grey"), [(0, 0), (45, 128), (60, 170), (90, 255), (135, 255), (180, 255)]
)
def test_grey_goes_from_black_at_no_angle_to_white_at_a_right_angle(
    angle: float, grey: int
) -> None:
    assert angle_as_grey(np.full((1, 1), angle, np.float32)) == grey


def test_polygons_of_a_placed_pair_read_back_from_the_geopackage(
    placed: Changes, tmp_path: Path
) -> None:
    placed.save(tmp_path)
    path = tmp_path / "changes.gpkg"
    assert [name for name, _ in pyogrio.list_layers(path)] == ["changes"]
    read, table = geopandas.read_file(path), placed.to_geodataframe()
    assert read.crs.to_epsg() == 32633
    assert list(read.columns) == list(table.columns)
    for name in ("id", "date", "angle", "score", "iou", "stability", "area_px"):
        assert read[name].tolist() == table[name].tolist()
    assert read.geometry.geom_equals(table.geometry).all()
    assert [len(outline.interiors) for outline in read.geometry] == [1, 0]


def test_images_of_a_placed_pair_lie_where_the_pair_lies(
    placed: Changes, place: Georeference, tmp_path: Path
) -> None:
    placed.save(tmp_path)
    for name in ("change_mask.tif", "score.tif"):
        with rasterio.open(tmp_path / name) as source:
            assert source.crs.to_epsg() == 32633
            assert source.transform == place.transform
            assert source.count == 1
    with rasterio.open(tmp_path / "change_mask.tif") as source:
        assert source.dtypes == ("uint8",)
        np.testing.assert_array_equal(source.read(1), np.where(masks_by_hand().any(0), 255, 0))


def test_the_score_of_a_placed_pair_is_nodata_where_the_pair_is(
    placed: Changes, tmp_path: Path
) -> None:
    placed.save(tmp_path)
    with rasterio.open(tmp_path / "score.tif") as source:
        assert source.dtypes == ("float32",)
        assert np.isnan(source.nodata)
        assert source.descriptions == ("-cos(angle)",)
        score = source.read(1)
    assert np.isnan(score[:, :10]).all()
    np.testing.assert_array_equal(score[:, 10:], placed.score_image()[:, 10:])
    np.testing.assert_allclose(score[12, 22], -0.5, atol=1e-6)


def test_no_changes_still_give_every_file(
    make_changes: Callable[..., Changes],
    make_pair: Callable[..., Pair],
    place: Georeference,
    tmp_path: Path,
) -> None:
    none = np.zeros((0, *SHAPE), bool)
    make_changes(none, [], pair=make_pair(SHAPE)).save(tmp_path / "plain")
    make_changes(none, [], pair=make_pair(SHAPE, georeference=place)).save(tmp_path / "placed")
    assert json.loads((tmp_path / "plain" / "changes.geojson").read_text())["features"] == []
    table = geopandas.read_file(tmp_path / "placed" / "changes.gpkg")
    assert len(table) == 0
    assert table.crs.to_epsg() == 32633
    assert read_run(tmp_path / "plain")["changes"] == 0


def test_the_record_of_a_run_says_what_was_found(placed: Changes, tmp_path: Path) -> None:
    placed.save(tmp_path)
    run = read_run(tmp_path)
    assert run["terradelta"] == __version__
    assert datetime.fromisoformat(run["finished"]).tzinfo is not None
    assert run["size_px"] == [90, 60]
    assert run["valid_fraction"] == round(80 / 90, 6)
    assert run["crs"] == "EPSG:32633"
    assert run["transform"] == [0.5, 0, 500_000, 0, -0.5, 5_400_000]
    assert run["model"] == "by hand"
    assert run["threshold_deg"] == 25
    assert run["changes"] == 2
    assert run["changed_fraction"] == round(750 / 5400, 6)
    assert run["libraries"]["numpy"] == np.__version__
    assert {"torch", "transformers", "rasterio"} < set(run["libraries"])


def test_a_plain_pair_has_no_crs_in_its_record(plain: Changes) -> None:
    run = describe_run(plain, [])
    assert (run["crs"], run["transform"]) == (None, None)
    assert run["score_image"] == "grey, 90 degrees is white"


def test_the_record_names_the_input_files_by_their_hash(placed: Changes, tmp_path: Path) -> None:
    paths = tmp_path / "a.tif", tmp_path / "b.tif"
    paths[0].write_bytes(b"first")
    paths[1].write_bytes(b"second")
    pair = replace(placed.pair, sources=paths, bands=((1, 2, 3), (4, 3, 2)))
    run = describe_run(replace(placed, pair=pair), [])
    assert run["before"] == {
        "source": str(paths[0]),
        "sha256": hashlib.sha256(b"first").hexdigest(),
        "bands": [1, 2, 3],
    }
    assert run["after"] == {
        "source": str(paths[1]),
        "sha256": hashlib.sha256(b"second").hexdigest(),
        "bands": [4, 3, 2],
    }


def test_the_record_names_images_in_memory_by_their_pixels(plain: Changes) -> None:
    run = describe_run(plain, [])
    assert run["before"]["sha256"] == hashlib.sha256(plain.pair.before.tobytes()).hexdigest()
    assert run["after"]["sha256"] == hashlib.sha256(plain.pair.after.tobytes()).hexdigest()
    assert run["before"]["sha256"] != run["after"]["sha256"]


def test_the_record_of_a_detection_has_its_settings(village: Any, tmp_path: Path) -> None:
    model = AnyChange(points_per_side=24, nms=0.6, min_region_area=5)
    model.query(village.before, village.after, [(40, 31, "after")], angle=30.5).save(tmp_path)
    run = read_run(tmp_path)
    expected = {
        "model": "regions",
        "preset": "default",
        "default_angle_deg": 23.0,
        "points_per_side": 24,
        "pred_iou": 0.0,
        "stability": 0.0,
        "nms": 0.6,
        "min_region_area": 5,
        "upscale": 1,
        "threshold_deg": 30.5,
        "asked": {"angle": 30.5, "points": [[40.0, 31.0, "after"]], "object_angle": 22.0},
    }
    assert {name: run[name] for name in expected} == expected
    assert set(run["seconds"]) == {"encode", "propose", "match", "select"}


def test_settings_may_be_scalars_of_numpy(village: Any, tmp_path: Path) -> None:
    model = AnyChange(points_per_side=np.int64(16), nms=np.float32(0.5))
    model.detect(village.before, village.after, top_k=np.int64(2)).save(tmp_path)
    run = read_run(tmp_path)
    assert (run["points_per_side"], run["nms"], run["asked"]) == (16, 0.5, {"top_k": 2})


def test_a_folder_that_is_a_file_is_refused(plain: Changes, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(OutputError, match="taken"):
        plain.save(taken)
    assert taken.read_text() == "a file"


@contextmanager
def disk_with_room_for(size: int) -> Iterator[None]:
    """No file can grow beyond ``size`` bytes."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["changes.gpkg", "score.tif", "overlay.png"])
def test_a_full_disk_leaves_the_old_file_and_nothing_temporary(
    make_changes: Callable[..., Changes],
    make_pair: Callable[..., Pair],
    place: Georeference,
    tmp_path: Path,
    name: str,
) -> None:
    pair = make_pair((250, 256), georeference=place)
    noise = np.random.default_rng(1).uniform(0, 180, pair.shape).astype(np.float32)
    dense = np.ones((1, *pair.shape), bool)
    changes = make_changes(dense, [60], pair=pair, pixel_angle=noise)
    changes.save(tmp_path)
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(old["changes.gpkg"]) < len(old["score.tif"]) < len(old["overlay.png"])
    with (
        disk_with_room_for(len(old[name]) - 1),
        pytest.raises(OutputError, match=name.replace(".", r"\.")),
    ):
        changes.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(old)
    assert (tmp_path / name).read_bytes() == old[name]


def test_a_full_disk_leaves_the_old_polygons_of_a_plain_pair(
    plain: Changes, tmp_path: Path
) -> None:
    plain.save(tmp_path)
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with disk_with_room_for(100), pytest.raises(OutputError, match=r"changes\.geojson"):
        plain.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old


def test_an_interruption_leaves_the_old_files(
    placed: Changes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed.save(tmp_path)
    old = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupted(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(bytes(data)[:10])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        placed.save(tmp_path)
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == old
