import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pytest
from rasterio.crs import CRS
from rasterio.transform import Affine
from shapely.geometry import box

from terradelta.errors import OutputError
from terradelta.geo.grid import Grid
from terradelta.run import spool as spool_module
from terradelta.run.merge import SceneObject
from terradelta.run.spool import Spool

GRID = Grid(CRS.from_epsg(32633), Affine(2, 0, 500_000, 0, -2, 5_400_000), 200, 100)


def columns(intensity: np.ndarray) -> dict[str, np.ndarray]:
    """A column for each of them that tells it by itself."""
    return {"angle": intensity, "score": -intensity / 100}


def rectangle(
    x0: int, y0: int, width: int, height: int, angle: float, *, date: int = 1
) -> SceneObject:
    mask = np.ones((height, width), bool)
    return SceneObject(mask, x0, y0, angle, angle / 100, angle / 200, date, 0.75)


def speckled(side: int) -> SceneObject:
    """An object of many corners: its outline takes some kilobytes."""
    mask = np.random.default_rng(side).random((side, side)) > 0.5
    return SceneObject(mask, 0, 0, 50.0, 0.5, 0.5, 1, 1.0)


def table(spool: Spool) -> geopandas.GeoDataFrame:
    return geopandas.GeoDataFrame(pandas.concat(list(spool.chunks("regions", columns))))


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """To a program a file that may not grow looks like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_objects_come_back_the_largest_angle_first(tmp_path: Path) -> None:
    with Spool(tmp_path / "outlines.wkb", GRID) as spool:
        spool.add(rectangle(10, 20, 5, 4, 30, date=0))
        spool.add(rectangle(40, 50, 2, 3, 60))
        spool.add(rectangle(0, 0, 1, 1, 45))
        assert len(spool) == 3
        found = table(spool)
    assert found["id"].tolist() == [1, 2, 3]
    assert found["angle"].tolist() == [60, 45, 30]
    assert found["score"].tolist() == [-0.6, -0.45, -0.3]
    np.testing.assert_allclose(found["iou"], [0.6, 0.45, 0.3])
    np.testing.assert_allclose(found["stability"], [0.3, 0.225, 0.15])
    assert found["date"].tolist() == ["after", "after", "before"]
    assert found["valid_fraction"].tolist() == [0.75] * 3
    assert set(found["model"]) == {"regions"}
    assert found.crs.to_epsg() == 32633
    # Pixels are 2 m; rows run southwards.
    expected = [
        box(500_080, 5_399_894, 500_084, 5_399_900),
        box(500_000, 5_399_998, 500_002, 5_400_000),
        box(500_020, 5_399_952, 500_030, 5_399_960),
    ]
    assert all(one.equals(other) for one, other in zip(found.geometry, expected, strict=True))


def test_equal_angles_are_in_reading_order_whatever_order_they_came_in(tmp_path: Path) -> None:
    """From the top, then from the left, then the smaller one."""
    objects = [
        rectangle(30, 10, 4, 4, 50),
        rectangle(60, 10, 2, 2, 50),
        rectangle(60, 10, 3, 3, 50),
        rectangle(5, 11, 4, 4, 50),
    ]
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)):
        with Spool(tmp_path / "outlines.wkb", GRID) as spool:
            for n in order:
                spool.add(objects[n])
            assert (table(spool).area / 4).tolist() == [16, 4, 9, 16]


def test_chunks_go_on_counting_and_can_be_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "CHUNK", 2)
    with Spool(tmp_path / "outlines.wkb", GRID) as spool:
        for n in range(5):
            spool.add(rectangle(3 * n, 0, n + 1, 2, 10.0 * n))
        for _ in range(2):
            chunks = list(spool.chunks("regions", columns))
            assert [chunk["id"].tolist() for chunk in chunks] == [[1, 2], [3, 4], [5]]
            areas = [area / 4 for chunk in chunks for area in chunk.area]
            assert areas == [10, 8, 6, 4, 2]


def test_without_objects_there_are_no_chunks(tmp_path: Path) -> None:
    with Spool(tmp_path / "outlines.wkb", GRID) as spool:
        assert len(spool) == 0
        assert list(spool.chunks("regions", columns)) == []


def test_the_file_is_gone_afterwards_even_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "outlines.wkb"
    with Spool(path, GRID) as spool:
        spool.add(rectangle(0, 0, 1, 1, 45))
        assert path.exists()
    assert not path.exists()
    with pytest.raises(KeyboardInterrupt), Spool(path, GRID):
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"cannot write .*no.outlines\.wkb: No such file"),
        Spool(tmp_path / "no" / "outlines.wkb", GRID),
    ):
        pass


def test_a_disk_that_fills_up_while_objects_are_kept_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "outlines.wkb"
    with (
        files_no_larger_than(20_000),
        pytest.raises(OutputError, match=r"cannot write .*outlines\.wkb: File too large"),
        Spool(path, GRID) as spool,
    ):
        for _ in range(20):
            spool.add(speckled(40))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_too_full_for_the_last_of_them_is_told_before_any_is_given_back(
    tmp_path: Path,
) -> None:
    """What is written last waits in memory until the objects are asked for."""
    path = tmp_path / "outlines.wkb"
    with (
        files_no_larger_than(50),
        pytest.raises(OutputError, match=r"cannot write .*outlines\.wkb: File too large"),
        Spool(path, GRID) as spool,
    ):
        spool.add(rectangle(0, 0, 1, 1, 45))
        assert len(spool) == 1
        next(iter(spool.chunks("regions", columns)))
    assert list(tmp_path.iterdir()) == []
