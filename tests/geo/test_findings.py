from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

from terradelta.geo.findings import (
    CORRECT,
    NOTE,
    REFUSE,
    Finding,
    in_words,
    of_clouds,
    of_data,
    of_files,
    of_radiometry,
    of_shift,
)
from terradelta.geo.grid import CommonGrid, Grid
from terradelta.geo.radiometry import NO_NORMALISATION, Normalisation
from terradelta.geo.register import ShiftField, WindowShift
from terradelta.geo.sample import Sample

UTM, LAEA = CRS.from_epsg(32633), CRS.from_epsg(3035)
GRID = Grid(UTM, Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000), 100, 80)
COMMON = CommonGrid(GRID, (1.0, 0.9), ((0.5, 0.5), (0.5, 0.5)), (UTM, UTM), "that of before")
NAN = float("nan")
FITTED = Normalisation(
    (1.0,) * 3, (0.0,) * 3, (0.9,) * 3, 0.8, (0.05, 0.04), trusted=True, reason="fitted"
)
Write = Callable[..., Path]


def told(findings: Any) -> list[tuple[int, str]]:
    found = list(findings)
    assert all(isinstance(finding, Finding) for finding in found)
    return found


def files(**changed: Any) -> dict[str, Any]:
    """How two files are read; ``after_dtype=...`` changes one of the values."""
    described: dict[str, Any] = {
        date: {"bands": [1, 2, 3], "dtype": "uint8", "resampling": "none"}
        for date in ("before", "after")
    }
    for name, value in changed.items():
        date, _, key = name.partition("_")
        described[date][key] = value
    return described


@pytest.fixture
def paths(write: Write) -> tuple[Path, Path]:
    bands = np.ones((3, 4, 5), np.uint8)
    return write("a.tif", bands), write("b.tif", bands)


# --- files ---------------------------------------------------------------------------------------


def test_files_on_one_grid_are_not_worth_a_word(paths: tuple[Path, Path]) -> None:
    assert told(of_files(files(), COMMON, paths)) == []
    assert told(of_files(files(), None, paths)) == []


@pytest.mark.parametrize(("grey", "colour"), [("before", "after"), ("after", "before")])
def test_grey_against_colour_is_refused(paths: tuple[Path, Path], grey: str, colour: str) -> None:
    ((level, text),) = told(of_files(files(**{f"{grey}_bands": [1]}), None, paths))
    assert level == REFUSE
    assert text.startswith(f"{grey} has one band and {colour} three")


def test_another_crs_is_a_correction_and_another_lattice_too(paths: tuple[Path, Path]) -> None:
    elsewhere = replace(COMMON, crs=(UTM, LAEA))
    resampled = files(after_resampling="cubic")
    assert told(of_files(resampled, elsewhere, paths)) == [
        (CORRECT, "the CRS differ (EPSG:32633 and EPSG:3035): after is reprojected")
    ]
    assert told(of_files(resampled, COMMON, paths)) == [
        (CORRECT, "the pixel grids differ: after is resampled")
    ]


def test_that_before_is_resampled_is_said_with_the_reason(paths: tuple[Path, Path]) -> None:
    both = files(before_resampling="average", after_resampling="cubic")
    assert told(of_files(both, COMMON, paths))[1] == (
        CORRECT,
        "before is resampled too: that of before",
    )


def test_little_common_ground_is_noted(paths: tuple[Path, Path]) -> None:
    little = replace(COMMON, overlap=(0.5, 0.4321))
    assert told(of_files(files(), little, paths)) == [
        (NOTE, "they share little ground: 50.0% of before, 43.2% of after")
    ]
    assert told(of_files(files(), replace(COMMON, overlap=(0.5, 0.5)), paths)) == []


@pytest.mark.parametrize(
    ("first", "second", "noted"),
    [
        ({"TIFFTAG_DATETIME": "2021:05:01 10:00:00"}, {"TIFFTAG_DATETIME": "2019:05:01 09:00:00"},
         "2021-05-01 10:00:00, 2019-05-01 09:00:00"),
        ({"TIFFTAG_DATETIME": "2019:05:01 09:00:00"}, {"TIFFTAG_DATETIME": "2021:05:01 10:00:00"},
         None),
        ({"TIFFTAG_DATETIME": "2021:05:01 10:00:00"}, {}, None),
        ({}, {}, None),
        # Both kinds of stamp, on one day: the first is a quarter of an hour later.
        ({"ACQUISITIONDATETIME": "2019-05-01 10:30:00"}, {"TIFFTAG_DATETIME": "2019:05:01 10:15:00"},
         "2019-05-01 10:30:00, 2019-05-01 10:15:00"),
        ({"ACQUISITIONDATETIME": "2019-05-01T10:10:00Z"},
         {"TIFFTAG_DATETIME": "2019:05:01 10:15:00"}, None),
        # When it was taken, not when the file was written.
        ({"ACQUISITIONDATETIME": "2018-01-01 00:00:00", "TIFFTAG_DATETIME": "2022:01:01 00:00:00"},
         {"TIFFTAG_DATETIME": "2020:01:01 00:00:00"}, None),
    ],
    ids=["later", "earlier", "one", "none", "by minutes", "with a T", "taken"],
)  # fmt: skip
def test_dates_in_the_other_order_are_noted(
    paths: tuple[Path, Path], first: dict[str, str], second: dict[str, str], noted: str | None
) -> None:
    for path, tags in zip(paths, (first, second), strict=True):
        with rasterio.open(path, "r+") as target:
            for name, value in tags.items():
                place = {"ns": "IMAGERY"} if name == "ACQUISITIONDATETIME" else {}
                target.update_tags(**place, **{name: value})
    found = told(of_files(files(), None, paths))
    expected = f"their time stamps are in the other order ({noted}): is before the earlier date?"
    assert found == ([] if noted is None else [(NOTE, expected)])


# --- data ----------------------------------------------------------------------------------------


def test_too_little_data_is_refused(sampled: Callable[..., Sample]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    other = image[::-1]
    for pixels, expected in ((99, ["only 5.0% of the overlap holds data"]), (100, [])):
        valid = np.zeros((40, 50), bool)
        valid.ravel()[:pixels] = True  # of 2000: 4.95 % and 5 %
        found = told(of_data(sampled(image, other, valid)))
        assert [text.partition(" in both")[0] for _, text in found] == expected
        assert all(level == REFUSE for level, _ in found)


def test_equal_dates_are_noted(sampled: Callable[..., Sample]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    assert told(of_data(sampled(image, image))) == [(NOTE, "both dates hold the same values")]
    other = image.copy()
    other[7, 9, 1] ^= 1
    assert told(of_data(sampled(image, other))) == []


# --- shift ---------------------------------------------------------------------------------------


def field(
    x: float,
    y: float,
    *,
    residual: float = 0.3,
    farthest: float = 1.0,
    found: int = 40,
    tried: int = 60,
) -> ShiftField:
    windows = (WindowShift(0, 0, x, y, 0.5),) * found
    return ShiftField(windows, tried, (x, y), residual, farthest, 0.9)


def levels(shift: ShiftField, normalisation: Normalisation = FITTED) -> list[int]:
    return [level for level, _ in told(of_shift(shift, normalisation))]


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [(0, 0, []), (0.3, -0.4, []), (0.3, -0.41, [CORRECT]), (4, 0, [CORRECT]), (0, -4.01, [REFUSE])],
)
def test_how_long_a_shift_may_be(x: float, y: float, expected: list[int]) -> None:
    """Up to half a pixel it is none, up to four it can be corrected."""
    assert levels(field(x, y)) == expected


def test_a_correction_undoes_the_shift() -> None:
    ((_, text),) = told(of_shift(field(1.5, -0.25), FITTED))
    assert text == "after lies 1.50 px to the right and 0.25 px up: move it by (-1.50, +0.25) px"


def test_a_shift_that_differs_from_place_to_place_is_refused() -> None:
    assert levels(field(0, 0, residual=1.5)) == []
    ((level, text),) = told(of_shift(field(0, 0, residual=1.6, farthest=2.5), FITTED))
    assert level == REFUSE
    assert "by 1.6 px in the median and 2.5 px in the farthest tenth" in text


@pytest.mark.parametrize(
    ("found", "tried", "expected"),
    [(30, 100, [REFUSE]), (29, 100, []), (9, 30, [REFUSE]), (29, 29, [])],
)
def test_the_farthest_tenth_counts_where_enough_was_found(
    found: int, tried: int, expected: list[int]
) -> None:
    """Three tenths of at least 30 windows."""
    assert levels(field(0, 0, farthest=3.1, found=found, tried=tried)) == expected
    assert levels(field(0, 0, farthest=3.0, found=found, tried=tried)) == []


def test_a_shift_that_only_all_windows_together_show_is_a_shift() -> None:
    """Nothing is known then of how it differs from place to place."""
    assert levels(ShiftField((), 60, (2.0, 0.0), NAN, NAN, NAN)) == [CORRECT]
    assert levels(ShiftField((), 60, (0.1, 0.0), NAN, NAN, NAN)) == []


@pytest.mark.parametrize(
    ("tried", "distance", "trusted", "expected"),
    [
        (60, 0.5, True, REFUSE),
        (60, 0.29, True, NOTE),  # by its colours it is the same place
        (60, 0.29, False, REFUSE),
        (29, 0.5, False, NOTE),  # too small to know
        (30, 0.5, False, REFUSE),
    ],
)
def test_without_a_shift_the_colours_tell_whether_the_place_is_the_same(
    tried: int, distance: float, trusted: bool, expected: int
) -> None:
    nothing = ShiftField((), tried, (NAN, NAN), NAN, NAN, NAN)
    fit = replace(FITTED, distance=(0.9, distance), trusted=trusted)
    assert levels(nothing, fit) == [expected]


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        ((1.5, 0.25), "1.50 px to the right and 0.25 px down"),
        ((-0.004, -3), "0.00 px to the left and 3.00 px up"),
        ((0, 0), "0.00 px to the right and 0.00 px down"),
    ],
)
def test_a_shift_in_words(shift: tuple[float, float], words: str) -> None:
    assert in_words(shift) == words


# --- radiometry and clouds -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "distance", "expected"),
    [
        ((1, 1, 1), 0.1, []),
        ((1, 1.04, 0.96), 0.1, []),
        ((1, 1, 0.94), 0.0, [CORRECT]),
        ((1.06, 1, 1), 0.0, [CORRECT]),
        ((1, 1, 1), 0.11, [CORRECT]),
    ],
)
def test_radiometry_that_differs_is_a_correction(
    gain: tuple[float, float, float], distance: float, expected: list[int]
) -> None:
    fit = replace(FITTED, gain=gain, distance=(distance, 0.01))
    found = told(of_radiometry(fit, files()))
    assert [level for level, _ in found] == expected
    assert all(f"is {distance:.2f} standard deviations, 0.01 once" in text for _, text in found)


def test_a_fit_that_is_not_trusted_is_noted_with_its_reason() -> None:
    untrusted = replace(NO_NORMALISATION, gain=(2.0,) * 3, distance=(0.9, 0.9), reason="too few")
    assert told(of_radiometry(untrusted, files())) == [
        (NOTE, "no radiometric normalisation: too few")
    ]


def test_other_types_are_a_correction_whatever_the_fit() -> None:
    other = files(after_dtype="uint16")
    text = "the types differ (uint8 and uint16): after is brought to the other's scale"
    assert told(of_radiometry(FITTED, other)) == [(CORRECT, text)]
    untrusted = replace(FITTED, trusted=False, reason="too few")
    assert [level for level, _ in told(of_radiometry(untrusted, other))] == [NOTE, CORRECT]


@pytest.mark.parametrize(
    ("clouds", "expected"),
    [
        ((0.0, 0.0), []),
        ((0.03, 0.0), []),
        ((0.031, 0.0), [(CORRECT, "3% of before")]),
        ((0.0, 0.2), [(CORRECT, "20% of after")]),
        ((0.21, 0.5), [(REFUSE, "21% of before"), (REFUSE, "50% of after")]),
    ],
)
def test_clouds_of_either_date(
    clouds: tuple[float, float], expected: list[tuple[int, str]]
) -> None:
    found = told(of_clouds(clouds))
    assert [(level, text.partition(" looks")[0]) for level, text in found] == expected
