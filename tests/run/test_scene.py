import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from terradelta import AnyChange, detect_scene, make_scene
from terradelta.errors import InputError, OutputError, UsageError
from terradelta.run import SceneResult, is_placed
from terradelta.run import scene as scene_module

from .conftest import TILE_COUNT, TILES
from .same import assert_same_results, score

Paths = tuple[Path, Path]
FILES = ["change_mask.tif", "changes.gpkg", "overlay.png", "run.json", "score.tif"]


def table(folder: Path) -> geopandas.GeoDataFrame:
    return geopandas.read_file(folder / "changes.gpkg", layer="changes")


def test_a_scene_of_one_tile_is_answered_as_an_image_is(tmp_path: Path) -> None:
    make_scene(200, seed=3).save(tmp_path)
    pair = tmp_path / "before.tif", tmp_path / "after.tif"
    result = detect_scene(*pair, tmp_path, normalise=False)
    changes = AnyChange().detect(*pair)
    assert result.record["tiles"]["count"] == 1
    with rasterio.open(tmp_path / "change_mask.tif") as source:
        np.testing.assert_array_equal(source.read(1) > 0, changes.to_mask())
    np.testing.assert_allclose(score(tmp_path), changes.score_image(), atol=1e-6)
    written = table(tmp_path)
    assert len(written) == len(result) == len(changes)
    np.testing.assert_allclose(np.sort(written["angle"]), np.sort(changes.angle), atol=1e-3)


def test_tiles_give_nearly_what_the_whole_gives(
    pair: Paths, whole: SceneResult, tmp_path: Path
) -> None:
    detect_scene(*pair, tmp_path)
    assert whole.record["tiles"]["count"] == TILE_COUNT
    tiled = whole.files[0].parent
    masks = []
    for folder in (tiled, tmp_path):
        with rasterio.open(folder / "change_mask.tif") as source:
            masks.append(source.read(1) > 0)
    assert (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum() > 0.8


def test_no_edge_of_a_polygon_lies_along_a_seam(whole: SceneResult) -> None:
    folder = whole.files[0].parent
    t = whole.record["transform"]
    anchor = round(t[2] / t[0]), round(t[5] / t[4])
    rings = shapely.get_rings(shapely.get_parts(table(folder).geometry.values))
    along = 0.0
    for ring in rings:
        xy = shapely.get_coordinates(ring)
        pixel = np.stack(
            [(xy[:, 0] - t[2]) / t[0] + anchor[0], (xy[:, 1] - t[5]) / t[4] + anchor[1]]
        )
        for axis in (0, 1):
            edges = np.abs(np.diff(pixel[axis])) < 1e-6
            on_seam = edges & (
                np.abs(pixel[axis][1:] / 128 - np.round(pixel[axis][1:] / 128)) < 1e-6
            )
            along = max(along, float(np.abs(np.diff(pixel[1 - axis]))[on_seam].max(initial=0)))
    assert along <= 8, "an object's straight side may lie there by chance, a cut one is longer"


def test_objects_come_largest_angle_first_with_all_their_columns(whole: SceneResult) -> None:
    written = table(whole.files[0].parent)
    assert written["id"].tolist() == list(range(1, len(written) + 1))
    assert (np.diff(written["angle"]) <= 0).all()
    np.testing.assert_allclose(written["score"], -np.cos(np.radians(written["angle"])), atol=1e-4)
    assert set(written["date"]) <= {"before", "after"}
    assert set(written["model"]) == {"regions"}
    assert (written["valid_fraction"] == 1).all()


def test_the_files_are_those_that_are_named(whole: SceneResult) -> None:
    folder = whole.files[0].parent
    assert sorted(path.name for path in folder.iterdir()) == [".run", *FILES]
    assert sorted(path.name for path in whole.files) == FILES
    record = json.loads((folder / "run.json").read_text())
    assert record["changes"] == len(table(folder))
    assert record["before"]["sha256"] != record["after"]["sha256"]


def test_the_same_call_again_looks_at_no_tile(
    pair: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect_scene(*pair, tmp_path, **TILES)
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path, kept, ignore=shutil.ignore_patterns("kept"))
    monkeypatch.setattr(scene_module, "examine", pytest.fail)
    detect_scene(*pair, tmp_path, **TILES)
    assert_same_results(tmp_path, kept)


def test_another_threshold_uses_the_tiles_that_are_there(
    pair: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = detect_scene(*pair, tmp_path, **TILES)
    monkeypatch.setattr(scene_module, "examine", pytest.fail)
    strict = detect_scene(*pair, tmp_path, angle=40, **TILES)
    otsu = detect_scene(*pair, tmp_path, threshold="otsu", **TILES)
    few = detect_scene(*pair, tmp_path, top_k=5, **TILES)
    assert strict.record["changed_fraction"] < default.record["changed_fraction"]
    assert otsu.record["threshold_deg"] != default.record["threshold_deg"]
    assert 1 <= len(few) <= 5


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"tile": 160}, "tile = 128, now it is 160"),
        ({"normalise": False}, "normalise = True, now it is False"),
        ({"model": AnyChange(points_per_side=64)}, "points_per_side = 128, now it is 64"),
    ],
)
def test_another_setting_of_the_tiles_is_refused(
    pair: Paths, whole: SceneResult, changed: dict[str, Any], named: str
) -> None:
    folder = whole.files[0].parent
    with pytest.raises(UsageError, match=named) as caught:
        detect_scene(*pair, folder, **{**TILES, **changed})
    assert str(folder / ".run") in str(caught.value)


def test_another_input_is_refused(pair: Paths, whole: SceneResult) -> None:
    with pytest.raises(UsageError, match="is not the file with which"):
        detect_scene(pair[1], pair[0], whole.files[0].parent, **TILES)


def test_an_input_that_was_only_copied_is_accepted(
    pair: Paths, whole: SceneResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [shutil.copy(path, tmp_path / path.name) for path in pair]
    monkeypatch.setattr(scene_module, "examine", pytest.fail)
    shutil.copytree(whole.files[0].parent, tmp_path / "out")
    assert len(detect_scene(*copies, tmp_path / "out", **TILES)) == len(whole)


KILLED = """
import os, signal, sys
from pathlib import Path
from terradelta import detect_scene
from terradelta.run import scene, finish, merge
seen = {"examine": 0, "finish": 0}
where, after = sys.argv[4], int(sys.argv[5])
def dying(name, function):
    def call(*arguments, **named):
        seen[name] += 1
        if name == where and seen[name] > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call
scene.examine = dying("examine", scene.examine)
finish._write_core = dying("finish", finish._write_core)
detect_scene(sys.argv[1], sys.argv[2], sys.argv[3], tile=128, halo=64)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_killed_anywhere_the_same_call_goes_on_and_ends_with_the_same(
    pair: Paths, whole: SceneResult, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for where, after in (("examine", 4), ("finish", 3)):
        words = [sys.executable, "-c", KILLED, *map(str, pair), str(out), where, str(after)]
        ended = subprocess.run(words, capture_output=True, text=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert not (out / "run.json").exists()
    with (out / ".run" / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"tile":[1,')
    detect_scene(*pair, out, **TILES)
    lines = (out / ".run" / "journal.jsonl").read_text().splitlines()
    tiles = [tuple(json.loads(line)["tile"]) for line in lines]
    assert len(tiles) == len(set(tiles)) == TILE_COUNT
    assert_same_results(out, whole.files[0].parent)


def test_a_part_that_was_lost_is_made_again(
    pair: Paths, whole: SceneResult, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(whole.files[0].parent, out)
    next((out / ".run" / "parts").glob("*.npz")).unlink()
    detect_scene(*pair, out, **TILES)
    assert_same_results(out, whole.files[0].parent)


def test_the_extent_fed_in_does_not_move_the_tiles(
    pair: Paths, whole: SceneResult, tmp_path: Path
) -> None:
    with rasterio.open(pair[0]) as source:
        cut = rasterio.windows.Window(11, 5, 270, 280)
        profile = {**source.profile, "width": 270, "height": 280}
        profile["transform"] = source.window_transform(cut)
        with rasterio.open(tmp_path / "part.tif", "w", **profile) as target:
            target.write(source.read(window=cut))
    detect_scene(tmp_path / "part.tif", pair[1], tmp_path / "out", **TILES)
    names = [
        {path.name for path in (folder / ".run" / "parts").glob("*.npz")}
        for folder in (tmp_path / "out", whole.files[0].parent)
    ]
    assert names[0] <= names[1]


def test_the_search_is_limited_to_the_area_of_interest(
    pair: Paths, whole: SceneResult, tmp_path: Path
) -> None:
    t = whole.record["transform"]
    box = shapely.box(t[2] + 20 * t[0], t[5] + 150 * t[4], t[2] + 120 * t[0], t[5] + 30 * t[4])
    place = geopandas.GeoDataFrame(geometry=[box], crs=whole.record["crs"]).to_crs("EPSG:4326")
    place.to_file(tmp_path / "aoi.geojson")
    result = detect_scene(*pair, tmp_path / "out", aoi=tmp_path / "aoi.geojson", **TILES)
    seen = np.isfinite(score(tmp_path / "out"))
    assert seen[32:148, 22:118].all()
    seen[29:151, 19:121] = False
    assert not seen.any()
    assert len(result) > 0
    assert table(tmp_path / "out").within(box.buffer(1.5)).all()


def test_an_area_elsewhere_is_refused(pair: Paths, tmp_path: Path) -> None:
    far = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:4326")
    far.to_file(tmp_path / "aoi.gpkg")
    with pytest.raises(InputError, match="no polygon within the overlap"):
        detect_scene(*pair, tmp_path / "out", aoi=tmp_path / "aoi.gpkg")
    assert not (tmp_path / "out" / ".run").exists()


def test_a_damaged_raster_names_file_and_window_and_keeps_what_is_done(
    pair: Paths, tmp_path: Path
) -> None:
    after, out = tmp_path / "after.tif", tmp_path / "out"
    with rasterio.open(pair[1]) as source:
        profile = {**source.profile, "tiled": False, "blockysize": 16}
        del profile["blockxsize"]
        with rasterio.open(after, "w", **profile) as target:
            target.write(source.read())
    sound, status = after.read_bytes(), after.stat()
    first, last = int(len(sound) * 0.85), int(len(sound) * 0.95)
    damaged = sound[:first] + bytes(last - first) + sound[last:]

    def damage_after_the_plan(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("tiles", 0):
            after.write_bytes(damaged)

    with pytest.raises(InputError, match=r"after.tif cannot be read in the window \("):
        detect_scene(pair[0], after, out, progress=damage_after_the_plan, **TILES)
    done = (out / ".run" / "journal.jsonl").read_text().splitlines()
    assert 1 <= len(done) < TILE_COUNT
    after.write_bytes(sound)
    os.utime(after, ns=(status.st_atime_ns, status.st_mtime_ns))
    detect_scene(pair[0], after, out, **TILES)
    lines = (out / ".run" / "journal.jsonl").read_text().splitlines()
    assert lines[: len(done)] == done
    assert len(lines) == TILE_COUNT


def test_a_scene_without_valid_pixels_is_refused_and_leaves_nothing(
    pair: Paths, tmp_path: Path
) -> None:
    with (
        rasterio.open(pair[0]) as source,
        rasterio.open(tmp_path / "empty.tif", "w", **{**source.profile, "nodata": 0}) as target,
    ):
        target.write(np.zeros_like(source.read()))
    with pytest.raises(InputError, match="nothing to compare"):
        detect_scene(tmp_path / "empty.tif", pair[1], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_folder_is_refused_before_any_work(pair: Paths, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="cannot write into the folder"):
        detect_scene(*pair, tmp_path / "out")


def test_outputs_by_suffix_and_a_stac_item(pair: Paths, tmp_path: Path) -> None:
    result = detect_scene(*pair, tmp_path, vector="found.parquet", stac=True, **TILES)
    assert len(geopandas.read_parquet(tmp_path / "found.parquet")) == len(result)
    item = json.loads((tmp_path / "item.json").read_text())
    assert set(item["assets"]) == {"found", "change_mask", "score", "overlay"}


def test_which_files_say_where_they_lie(pair: Paths, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (32, 32)).save(tmp_path / "plain.png")
    assert all(is_placed(path) for path in pair)
    assert not is_placed(tmp_path / "plain.png")


def test_progress_counts_the_tiles(pair: Paths, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    detect_scene(*pair, tmp_path, progress=lambda *step: told.append(step), **TILES)
    tiles = [step[1:] for step in told if step[0] == "tiles"]
    assert tiles == [(done, TILE_COUNT) for done in range(TILE_COUNT + 1)]
