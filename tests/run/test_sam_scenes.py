"""A scene of eight tiles looked at by a tiny SAM of random weights, whose canvas is 256 px.

Its masks are specks whose boxes span half of the window, so box NMS is left out.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize

from terradelta import AnyChange, detect_scene, make_scene
from terradelta.errors import UsageError
from terradelta.run import SceneResult
from terradelta.run import scene as scene_module
from terradelta.run.parts import load_part

from .same import assert_same_results, interrupted_after, score

Paths = tuple[Path, Path]
SIZE = 140, 260
CANVAS_PX, TILE_COUNT = 256, 8
SETTINGS: dict[str, Any] = {"points_per_side": 3, "pred_iou": 0.3, "stability": 0.0, "nms": 1.0}
ANGLE = 4.0


@pytest.fixture(scope="module")
def model(sam_folder: Path) -> AnyChange:
    return AnyChange(str(sam_folder), **SETTINGS)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """before.tif and after.tif of 260 x 140 px."""
    folder = tmp_path_factory.mktemp("wide")
    make_scene(SIZE, seed=3).save(folder)
    return folder / "before.tif", folder / "after.tif"


@pytest.fixture(scope="module")
def unbroken(
    model: AnyChange, wide: Paths, tmp_path_factory: pytest.TempPathFactory
) -> SceneResult:
    """An uninterrupted run; for reading only."""
    return detect_scene(*wide, tmp_path_factory.mktemp("sam"), model=model, angle=ANGLE)


def folder_of(result: SceneResult) -> Path:
    return result.files[0].parent


def tiles_done(folder: Path) -> list[tuple[int, int]]:
    lines = (folder / ".run" / "journal.jsonl").read_text().splitlines()
    return [(row, column) for row, column in (json.loads(line)["tile"] for line in lines)]


def test_every_window_fills_the_canvas(unbroken: SceneResult) -> None:
    """So that a pixel of the scene is a pixel of the network's, at the border of the scene as well."""
    told, folder = unbroken.record["tiles"], folder_of(unbroken)
    assert (told["core_px"], told["halo_px"], told["count"]) == (128, 64, TILE_COUNT)
    keys = tiles_done(folder)
    assert len(set(keys)) == len(keys) == TILE_COUNT
    for key in keys:
        part = load_part(key, folder / ".run" / "parts")
        assert part.valid.shape == part.candidates.masks.shape == (CANVAS_PX, CANVAS_PX)
        assert len(part.candidates.masks) > 10
        assert not (part.candidates.masks.union() & ~part.valid).any()


def test_the_outputs_tell_the_same(unbroken: SceneResult) -> None:
    folder, record = folder_of(unbroken), unbroken.record
    assert record["canvas_px"] == CANVAS_PX
    assert record["threshold_deg"] == ANGLE
    assert record["asked"] == {"angle": ANGLE}
    with rasterio.open(folder / "change_mask.tif") as source:
        mask, transform = source.read(1) > 0, source.transform
    assert mask.shape == SIZE
    assert 0 < mask.mean() < 1
    assert record["changed_fraction"] == pytest.approx(mask.mean(), abs=1e-6)
    values = score(folder)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(mask, values > -np.cos(np.radians(np.float32(ANGLE))))
    table = geopandas.read_file(folder / "changes.gpkg", layer="changes")
    assert len(table) == len(unbroken) == record["changes"] > 10
    assert (table["angle"] > ANGLE).all()
    assert set(table["model"]) == {record["model"]}
    assert set(table["date"]) <= {"before", "after"}
    assert table["iou"].between(SETTINGS["pred_iou"], 1.5).all()
    for outline in table.geometry:
        inside = rasterize([outline], SIZE, transform=transform).astype(bool)
        assert mask[inside].mean() > 0.5


def test_an_interrupted_run_goes_on_to_the_same_results(
    model: AnyChange,
    wide: Paths,
    unbroken: SceneResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        detect_scene(*wide, tmp_path, model=model, angle=ANGLE, progress=interrupted_after(6))
    assert [path.name for path in tmp_path.iterdir()] == [".run"]
    done = tiles_done(tmp_path)
    assert len(done) == 6
    look, looked_at = scene_module.examine, []

    def examine(*given: Any) -> Any:
        looked_at.append(given[2])
        return look(*given)

    monkeypatch.setattr(scene_module, "examine", examine)
    detect_scene(*wide, tmp_path, model=model, angle=ANGLE)
    assert tiles_done(tmp_path) == [*done, *looked_at]
    assert len({*done, *looked_at}) == TILE_COUNT
    assert_same_results(tmp_path, folder_of(unbroken))


def test_other_weights_are_refused(wide: Paths, unbroken: SceneResult) -> None:
    """What the tiles hold is of the model that looked at them."""
    with pytest.raises(UsageError, match=r"began with canvas_px = 256, now it is None"):
        detect_scene(*wide, folder_of(unbroken), tile=128, halo=64)


def test_another_threshold_uses_the_tiles_that_are_there(
    model: AnyChange,
    wide: Paths,
    unbroken: SceneResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(folder_of(unbroken), tmp_path / "out")
    monkeypatch.setattr(scene_module, "examine", pytest.fail)
    few = detect_scene(*wide, tmp_path / "out", model=model, top_k=3)
    assert 1 <= len(few) <= 3
    assert few.record["threshold_deg"] > ANGLE


def test_a_scene_within_the_canvas_is_answered_as_an_image_is(
    model: AnyChange, tmp_path: Path
) -> None:
    make_scene((96, 128), seed=3).save(tmp_path)
    pair = tmp_path / "before.tif", tmp_path / "after.tif"
    result = detect_scene(*pair, tmp_path, model=model, angle=ANGLE, normalise=False)
    changes = model.detect(*pair, angle=ANGLE)
    assert result.record["tiles"]["count"] == 1
    assert len(result) == len(changes) > 10
    with rasterio.open(tmp_path / "change_mask.tif") as source:
        np.testing.assert_array_equal(source.read(1) > 0, changes.to_mask())
    np.testing.assert_allclose(score(tmp_path), changes.score_image(), atol=1e-6)
    table = geopandas.read_file(tmp_path / "changes.gpkg", layer="changes")
    np.testing.assert_allclose(table["angle"], np.sort(changes.angle)[::-1], atol=1e-3)
