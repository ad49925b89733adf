"""Areas against closed forms, files against what was put into them, and disks that are full."""

import resource
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import geopandas
import numpy as np
import pandas
import pytest
import shapely
from pyproj import CRS, Transformer
from shapely.geometry import MultiPolygon, Polygon, box

from terradelta.errors import InputError, OutputError, UsageError
from terradelta.geo.vector import SCHEMA, geodesic_area_perimeter, write_objects

SUFFIXES = (".gpkg", ".parquet", ".fgb", ".geojson")
COLUMNS = [name for name in SCHEMA.names if name != "geometry"]
A, E2 = 6_378_137.0, 0.006_694_379_990_14
"""Semi-major axis and squared eccentricity of WGS 84."""


def radii(latitude: float) -> tuple[float, float]:
    """Of curvature along the meridian and across it, metres."""
    w2 = 1 - E2 * np.sin(latitude) ** 2
    return A * (1 - E2) / w2**1.5, A / w2**0.5


def table(shapes: list[shapely.Geometry], first_id: int = 1) -> geopandas.GeoDataFrame:
    count = len(shapes)
    columns = {
        "id": np.arange(first_id, first_id + count),
        "angle": np.linspace(80, 30.1234, count).astype(np.float32),
        "score": np.full(count, 0.25),
        "iou": np.full(count, 0.875, np.float32),
        "stability": np.full(count, 0.5),
        "date": np.array(["before", "after"] * count, object)[:count],
        "valid_fraction": np.ones(count),
        "model": np.full(count, "regions", object),
    }
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32633")


def squares(count: int, first: int = 0) -> list[Polygon]:
    """10 m squares in a row at the central meridian of UTM zone 33."""
    return [
        box(500_000 + 20 * n, 5_400_000, 500_010 + 20 * n, 5_400_010)
        for n in range(first, first + count)
    ]


def read(path: Path) -> geopandas.GeoDataFrame:
    if path.suffix == ".parquet":
        return geopandas.read_parquet(path)
    return geopandas.read_file(path, layer="changes")


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """To a program a file that may not grow looks like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- areas ---------------------------------------------------------------------------------------


def test_a_square_of_utm_has_the_area_without_the_scale_of_its_meridian() -> None:
    area, perimeter = geodesic_area_perimeter([box(499_950, 5.4e6, 500_050, 5.4e6 + 100)], 32633)
    assert area[0] == pytest.approx(1e4 / 0.9996**2, rel=1e-6)
    assert perimeter[0] == pytest.approx(400 / 0.9996, rel=1e-6)


@pytest.mark.parametrize("degrees", [0.0, 37.5, -60.0, 78.0])
def test_web_mercator_is_undone(degrees: float) -> None:
    latitude = np.radians(degrees)
    x, y = Transformer.from_crs(4326, 3857, always_xy=True).transform(12.0, degrees)
    area, _ = geodesic_area_perimeter([box(x - 50, y - 50, x + 50, y + 50)], "EPSG:3857")
    meridian, across = radii(latitude)
    assert area[0] == pytest.approx(
        1e4 * meridian * across * np.cos(latitude) ** 2 / A**2, rel=1e-5
    )


def test_degrees_are_measured_on_the_ellipsoid() -> None:
    step = 1e-3
    area, perimeter = geodesic_area_perimeter([box(7, 48, 7 + step, 48 + step)], "EPSG:4326")
    meridian, across = radii(np.radians(48 + step / 2))
    height, width = meridian * np.radians(step), across * np.radians(step)
    width *= np.cos(np.radians(48 + step / 2))
    assert area[0] == pytest.approx(height * width, rel=1e-5)
    assert perimeter[0] == pytest.approx(2 * (height + width), rel=1e-5)


def test_a_crs_on_grads_and_one_in_feet() -> None:
    """Lambert II (Paris) has its scale of 0.99987742 at 52 grads; New York's feet are of the US."""
    lambert = geodesic_area_perimeter([box(599_950, 2_199_950, 600_050, 2_200_050)], 27572)[0]
    assert lambert[0] == pytest.approx(1e4 / 0.99987742**2, rel=1e-6)
    feet = geodesic_area_perimeter([box(984_000, 200_000, 985_000, 201_000)], "EPSG:2263")[0]
    assert feet[0] == pytest.approx((1000 * 1200 / 3937) ** 2, rel=2e-4)


def test_a_hole_is_taken_off_and_its_outline_counts_whichever_way_rings_run() -> None:
    outer, inner = (
        box(500_000, 5.4e6, 500_100, 5.4e6 + 100),
        box(500_040, 5.4e6 + 40, 500_060, 5.4e6 + 60),
    )
    for hole in (inner.exterior.coords, inner.exterior.coords[::-1]):
        holed = Polygon(outer.exterior.coords[::-1], [hole])
        both = MultiPolygon([holed, inner])
        area, perimeter = geodesic_area_perimeter([holed, both, outer], 32633)
        unit = 1 / 0.9996
        np.testing.assert_allclose(area, np.array([9600, 1e4, 1e4]) * unit**2, rtol=1e-6)
        np.testing.assert_allclose(perimeter, np.array([480, 560, 400]) * unit, rtol=1e-6)


def test_across_the_180th_meridian() -> None:
    east = Polygon([(179.999, 10), (-179.999, 10), (-179.999, 10.002), (179.999, 10.002)])
    here = box(0, 10, 0.002, 10.002)
    area, _ = geodesic_area_perimeter([east, here], 4326)
    assert area[0] == pytest.approx(area[1], rel=1e-6)


def test_a_local_crs_is_measured_on_its_plane() -> None:
    site = CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048],AXIS["x",EAST],AXIS["y",NORTH]]')
    area, perimeter = geodesic_area_perimeter([box(0, 0, 10, 20)], site)
    assert (area[0], perimeter[0]) == pytest.approx((200 * 0.3048**2, 60 * 0.3048))


def test_no_geometries() -> None:
    area, perimeter = geodesic_area_perimeter([], 32633)
    assert area.shape == perimeter.shape == (0,)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_chunks_read_back_as_one_layer(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"changes{suffix}"
    holed = squares(1, 3)[0].difference(box(500_063, 5_400_003, 500_066, 5_400_006))
    corners = MultiPolygon(squares(2, 5))
    chunks = [table(squares(3)), table([]), table([holed, corners], first_id=4)]
    assert write_objects(path, iter(chunks), crs="EPSG:32633") == 5
    back = read(path).sort_values("id")
    assert set(COLUMNS) <= set(back.columns)
    expected = pandas.concat([chunks[0], chunks[2]])
    np.testing.assert_array_equal(back["id"], expected["id"])
    np.testing.assert_allclose(back["angle"], expected["angle"].round(3), atol=1e-3)
    assert back["date"].tolist() == expected["date"].tolist()
    assert back["review"].isna().all()
    assert set(back["model"]) == {"regions"}
    assert set(back.geometry.geom_type) == {"MultiPolygon"}
    np.testing.assert_allclose(
        back["area_m2"], np.array([100, 100, 100, 91, 200]) / 0.9996**2, rtol=1e-5
    )
    moved = expected.to_crs(4326) if suffix == ".geojson" else expected
    assert back.crs == moved.crs
    tolerance = 1e-8 if suffix == ".geojson" else 0
    distance = shapely.hausdorff_distance(back.geometry.values, moved.geometry.values)
    assert distance.max() <= tolerance
    beside = {path.name} if suffix == ".gpkg" else {path.name, "changes.qml"}
    assert {entry.name for entry in path.parent.iterdir()} == beside


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_found_is_a_file_with_the_full_schema(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"changes{suffix}"
    assert write_objects(path, [], crs="EPSG:32633") == 0
    back = read(path)
    assert len(back) == 0
    if suffix != ".geojson":  # whose schema is in its features
        assert set(COLUMNS) <= set(back.columns)
        assert back.crs.to_epsg() == 32633


def test_a_crs_without_a_code_is_kept(tmp_path: Path) -> None:
    crs = CRS.from_proj4("+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84 +units=m")
    chunk = table([box(0, 0, 100, 100)]).set_crs(crs, allow_override=True)
    for suffix in (".gpkg", ".parquet", ".fgb"):
        path = tmp_path / f"changes{suffix}"
        write_objects(path, [chunk], crs=crs)
        assert read(path).crs.equals(crs, ignore_axis_order=True)


def test_geojson_of_a_local_crs_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    site = 'LOCAL_CS["site",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]'
    with pytest.raises(OutputError, match=r"local. Write a .gpkg"):
        write_objects(tmp_path / "changes.geojson", [], crs=site)
    assert list(tmp_path.iterdir()) == []


def test_another_suffix_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.shp: the suffix must be one of \.gpkg"):
        write_objects(tmp_path / "changes.shp", [], crs=32633)


def test_the_geopackage_carries_its_style(tmp_path: Path) -> None:
    path = tmp_path / "changes.gpkg"
    write_objects(path, [table(squares(2))], crs=32633)
    with sqlite3.connect(path) as database:
        columns = "f_table_schema, f_table_name, f_geometry_column, useAsDefault, styleQML"
        (row,) = database.execute(f"select {columns} from layer_styles").fetchall()  # noqa: S608
        (column,) = database.execute("select column_name from gpkg_geometry_columns").fetchone()
    assert row[:4] == ("", "changes", column, 1)
    categories = ElementTree.fromstring(row[4]).findall(".//category")  # noqa: S314
    assert {category.get("value") for category in categories} == {"before", "after", "both"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_only_the_chunk_at_hand_is_held(tmp_path: Path, suffix: str) -> None:
    alive: list[Callable[[], object]] = []
    most = 0

    def chunks() -> Iterator[geopandas.GeoDataFrame]:
        nonlocal most
        for n in range(6):
            most = max(most, sum(ref() is not None for ref in alive))
            chunk = table(squares(4, 4 * n), first_id=4 * n + 1)
            alive.append(weakref.ref(chunk))
            yield chunk
            del chunk

    assert write_objects(tmp_path / f"changes{suffix}", chunks(), crs=32633) == 24
    assert most <= 1


# --- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_error_in_making_a_chunk_is_passed_on_and_the_old_file_stays(
    tmp_path: Path, suffix: str
) -> None:
    def chunks() -> Iterator[geopandas.GeoDataFrame]:
        yield table(squares(3))
        raise InputError("part 7 is damaged")

    path = tmp_path / f"changes{suffix}"
    write_objects(path, [table(squares(1))], crs=32633)
    content, names = path.read_bytes(), sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="part 7 is damaged"):
        write_objects(path, chunks(), crs=32633)
    assert path.read_bytes() == content
    assert sorted(tmp_path.iterdir()) == names


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.9, 0.97, 0.999])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, suffix: str, share: float) -> None:
    chunks = [table(squares(500, 500 * n), 500 * n + 1) for n in range(3)]
    whole, path = tmp_path / "whole" / f"changes{suffix}", tmp_path / "full" / f"changes{suffix}"
    write_objects(whole, chunks, crs=32633)
    with (
        files_no_larger_than(int(whole.stat().st_size * share)),
        pytest.raises(OutputError, match=rf"cannot write .*full.changes\{suffix}: "),
    ):
        write_objects(path, chunks, crs=32633)
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match=r"cannot write .*changes\.gpkg: "):
        write_objects(tmp_path / "taken" / "changes.gpkg", [], crs=32633)


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / ".changes.gpkg.part"
    left.mkdir()
    (left / "changes.gpkg").write_bytes(b"half a file")
    (left / "changes.gpkg-journal").write_bytes(b"and its journal")
    path = tmp_path / "changes.gpkg"
    write_objects(path, [table(squares(2))], crs=32633)
    assert list(tmp_path.iterdir()) == [path]
    assert len(read(path)) == 2
