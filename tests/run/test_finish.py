"""Two tiles of 64 px with a halo of 16 px side by side, and parts made by hand.

On the ground: A in the left core, B across the seam, C in the right core beside a gap in the data,
and D, which is below the threshold. What the tiles say of B differs.
"""

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from shapely.geometry import box

from terradelta import AnyChange
from terradelta.errors import InputError
from terradelta.geo.scene import ScenePair
from terradelta.geo.stretch import Radiometry
from terradelta.geo.tiles import Box, Key, Lattice, intersection, is_empty, shifted
from terradelta.run.anychange_tile import AnyChangeScene
from terradelta.run.choose import Choice
from terradelta.run.finish import Finished, finish
from terradelta.run.parts import Part, save_part
from terradelta.run.plan import ScenePlan
from terradelta.run.tile import TilePlan
from terradelta.sam.masks import Masks
from terradelta.types import silent
from terradelta.zeroshot.candidates import Candidates

WIDTH, HEIGHT = 128, 60
TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)
LATTICE = Lattice(WIDTH, HEIGHT, (0, 0), 64, 16)
LEFT, RIGHT = (0, 0), (0, 1)
GAP: Box = (120, 0, 128, 60)
A, B, C, D = (5, 5, 25, 15), (56, 20, 72, 40), (100, 30, 120, 50), (30, 45, 40, 55)
ANGLES = {LEFT: {A: 60, B: 50, D: 10}, RIGHT: {B: 40, C: 90}}
FILES = ["change_mask.tif", "changes.gpkg", "overlay.png", "score.tif"]
MODEL = AnyChange()
LOOKER = AnyChangeScene(MODEL)


def part(key: Key) -> Part:
    tile = LATTICE[key]
    angles = sorted(ANGLES[key].items(), key=lambda one: -one[1])
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[GAP[1] : GAP[3], GAP[0] : GAP[2]] = False
    dense = np.zeros((len(angles), *tile.shape), bool)
    for mask, (place, _) in zip(dense, angles, strict=True):
        paint(mask, place, tile.window)
    count, nothing = len(angles), np.zeros((len(angles), 0))
    angle = np.array([angle for _, angle in angles], np.float32)
    date = np.full(count, key == RIGHT, np.int8)
    found = Candidates(
        Masks.from_dense(dense), angle / 100, angle / 200, date, angle, nothing, nothing
    )
    x0, y0, x1, y1 = tile.window
    return Part(key, found, valid[y0:y1, x0:x1])


def paint(image: np.ndarray, place: Box, window: Box, value: float = 1) -> None:
    """Set the part of a box of the grid that lies in a window."""
    inside = intersection(place, window)
    if not is_empty(inside):
        x0, y0, x1, y1 = shifted(inside, -window[0], -window[1])
        image[y0:y1, x0:x1] = value


def ground(place: Box) -> object:
    """A box of the grid in the CRS."""
    x0, y0, x1, y1 = place
    return box(500_000 + x0 / 2, 5_400_000 - y1 / 2, 500_000 + x1 / 2, 5_400_000 - y0 / 2)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> ScenePlan:
    folder = tmp_path_factory.mktemp("finish")
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 3, "width": WIDTH, "height": HEIGHT,
        "crs": "EPSG:32633", "transform": TRANSFORM,
    }  # fmt: skip
    paths = [folder / "before.tif", folder / "after.tif"]
    for grey, path in enumerate(paths):
        with rasterio.open(path, "w", **profile) as target:
            target.write(np.full((3, HEIGHT, WIDTH), 80 + 40 * grey, np.uint8))
    as_it_is = Radiometry((1,) * 3, (0,) * 3, (0,) * 3, (255,) * 3, (0,) * 3, (0,) * 3)
    tiles = TilePlan(ScenePair(*paths), LATTICE, as_it_is, None)
    return ScenePlan(tiles, (LEFT, RIGHT), {})


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = tmp_path / "parts"
    folder.mkdir()
    for key in (LEFT, RIGHT):
        save_part(part(key), folder)
    return folder


@pytest.fixture
def finished(plan: ScenePlan, parts: Path) -> Callable[..., Finished]:
    def run(folder: Path, choice: Choice | None = None) -> Finished:
        return finish(plan, LOOKER, choice or Choice(), parts, folder, "changes.gpkg", silent)

    return run


def raster(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        assert source.crs.to_epsg() == 32633
        assert source.transform == TRANSFORM
        return np.asarray(source.read(1))


def test_the_objects_of_all_tiles_are_those_on_the_ground(
    finished: Callable[..., Finished], tmp_path: Path
) -> None:
    found = finished(tmp_path / "out")
    table = geopandas.read_file(tmp_path / "out" / "changes.gpkg", layer="changes")
    assert found.threshold == MODEL.angle == 23
    assert found.objects == len(table) == 3
    # B has half of its pixels in either core.
    assert table["angle"].tolist() == [90, 60, 45]
    np.testing.assert_allclose(table["iou"], [0.9, 0.6, 0.45])
    np.testing.assert_allclose(table["stability"], [0.45, 0.3, 0.225])
    assert table["date"].tolist()[:2] == ["after", "before"]
    assert table["valid_fraction"].tolist() == [1, 1, 1]
    assert table.crs.to_epsg() == 32633
    expected = [ground(C), ground(A), ground(B)]
    assert all(one.equals(other) for one, other in zip(table.geometry, expected, strict=True))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES


def test_every_pixel_is_that_of_the_tile_in_whose_core_it_lies(
    finished: Callable[..., Finished], tmp_path: Path
) -> None:
    found = finished(tmp_path / "out")
    angle = np.zeros((HEIGHT, WIDTH))
    for key in (LEFT, RIGHT):
        core = LATTICE[key].core
        for place, value in ANGLES[key].items():
            paint(angle, intersection(place, core), (0, 0, WIDTH, HEIGHT), value)
    changed = angle > 23
    np.testing.assert_array_equal(raster(tmp_path / "out" / "change_mask.tif"), changed * 255)
    score = -np.cos(np.radians(angle))
    score[:, GAP[0] :] = np.nan
    np.testing.assert_allclose(raster(tmp_path / "out" / "score.tif"), score, atol=1e-6)
    assert found.changed == 200 + 320 + 400
    assert found.valid == HEIGHT * 120


def test_the_threshold_of_the_scene_holds_in_all_tiles(
    finished: Callable[..., Finished], tmp_path: Path
) -> None:
    strict = finished(tmp_path / "strict", Choice(angle=55))
    assert (strict.threshold, strict.objects, strict.changed) == (55, 2, 200 + 400)
    most = finished(tmp_path / "most", Choice(top_k=1))
    # Of B the tile with its middle counts, the right one: 90, 60, 40, 10.
    assert (most.threshold, most.objects, most.changed) == (60, 1, 400)


def test_nothing_above_the_threshold_gives_empty_files(
    finished: Callable[..., Finished], tmp_path: Path
) -> None:
    none = finished(tmp_path / "out", Choice(angle=120))
    assert (none.objects, none.changed, none.valid) == (0, 0, HEIGHT * 120)
    assert len(geopandas.read_file(tmp_path / "out" / "changes.gpkg", layer="changes")) == 0
    assert not raster(tmp_path / "out" / "change_mask.tif").any()


def test_it_can_be_repeated(finished: Callable[..., Finished], parts: Path, tmp_path: Path) -> None:
    there = sorted(path.name for path in parts.iterdir())
    for name in ("first", "second"):
        finished(tmp_path / name)
    for name in set(FILES) - {"changes.gpkg"}:  # which holds the time of its making
        contents = [(tmp_path / folder / name).read_bytes() for folder in ("first", "second")]
        assert contents[0] == contents[1]
    tables = [
        geopandas.read_file(tmp_path / f / "changes.gpkg", layer="changes")
        for f in ("first", "second")
    ]
    assert tables[0].equals(tables[1])
    assert sorted(path.name for path in parts.iterdir()) == there


def test_progress_counts_the_tiles(plan: ScenePlan, parts: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    finish(
        plan, LOOKER, Choice(), parts, tmp_path / "out", "changes.gpkg", lambda *s: told.append(s)
    )
    assert told == [("merging", 1, 2), ("merging", 2, 2), ("writing", 0, 1)]


def test_a_part_that_is_missing_is_named_and_nothing_is_left(
    finished: Callable[..., Finished], parts: Path, tmp_path: Path
) -> None:
    (parts / "0_1.npz").unlink()
    with pytest.raises(InputError, match=r"0_1\.npz, which .* is missing or damaged: delete it"):
        finished(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_part_that_is_damaged_anywhere_is_named(
    finished: Callable[..., Finished], parts: Path, tmp_path: Path
) -> None:
    """Half a kilobyte of it spoiled: its zip, its deflate stream or a header of an array."""
    path = parts / "0_0.npz"
    sound = path.read_bytes()
    for start in range(0, len(sound), 512):
        spoiled = bytes(255 - byte for byte in sound[start : start + 512])
        path.write_bytes(sound[:start] + spoiled + sound[start + 512 :])
        with pytest.raises(InputError, match=r"0_0\.npz, which an earlier run wrote"):
            finished(tmp_path / "out")
