import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from terradelta import AnyChange

Run = Callable[..., Any]
Paths = tuple[Path, Path]


@pytest.fixture(scope="module")
def click(pair: Paths) -> tuple[float, float]:
    """The middle of the largest change that is a mask of after."""
    changes = AnyChange().detect(*pair)
    after = np.array([date == "after" for date in changes.date])
    largest = int(np.argmax(np.where(after, changes.area, 0)))
    y, x = np.nonzero(changes.masks()[largest])
    middle = np.argmin((x - x.mean()) ** 2 + (y - y.mean()) ** 2)
    return float(x[middle]) + 0.5, float(y[middle]) + 0.5


def test_the_files_hold_what_the_library_finds(
    run: Run, pair: Paths, click: tuple[float, float], tmp_path: Path
) -> None:
    x, y = click
    answer = run("query", *pair, "--at", f"{x},{y},after", "-o", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    changes = AnyChange().query(*pair, [(x, y, "after")])
    everything = AnyChange().detect(*pair)
    assert 0 < len(changes) < len(everything)
    assert answer.out.startswith(f"{len(changes)} changes above 23.0 degrees")
    with rasterio.open(tmp_path / "change_mask.tif") as source:
        np.testing.assert_array_equal(source.read(1) > 0, changes.to_mask())


def test_several_clicks_and_every_option_reach_the_run(
    run: Run, pair: Paths, click: tuple[float, float], tmp_path: Path
) -> None:
    x, y = click
    words = f"--at {x},{y},after --at {x + 1},{y},before --object-angle 50 --angle 21 --nms 0.6"
    answer = run("query", *pair, "-o", tmp_path, "--json", *words.split())
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    assert printed["asked"] == {
        "points": [[x, y, "after"], [x + 1, y, "before"]],
        "object_angle": 50,
        "angle": 21,
    }
    assert (printed["nms"], printed["threshold_deg"]) == (0.6, 21)


def test_blanks_around_the_parts_of_a_click_do_not_matter(
    run: Run, pair: Paths, click: tuple[float, float], tmp_path: Path
) -> None:
    x, y = click
    answer = run("query", *pair, "--at", f"{x}, {y}, after", "-o", tmp_path, "--json")
    assert json.loads(answer.out)["asked"]["points"] == [[x, y, "after"]]


@pytest.mark.parametrize("at", ["10,20", "10,20,after,3", "left,20,after", "10,20,during", "", ","])
def test_a_malformed_click_is_exit_code_2_and_named(
    run: Run, pair: Paths, tmp_path: Path, at: str
) -> None:
    answer = run("query", *pair, "--at", "5,5,after", "--at", at, "-o", tmp_path / "out")
    assert answer == (2, "", f"error: --at {at!r} is not X,Y,before or X,Y,after\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("at", ["128,5,after", "5,-1,before", "nan,5,after"])
def test_a_click_outside_the_image_fails_in_one_line_that_names_it(
    run: Run, pair: Paths, tmp_path: Path, at: str
) -> None:
    answer = run("query", *pair, "--at", at, "-o", tmp_path)
    assert (answer.code, answer.out) == (1, "")
    named = at.replace(",", ", ")
    assert answer.err == (f"error: click ({named}) lies outside the image, which is 128 x 128 px\n")
    assert list(tmp_path.iterdir()) == []


def test_a_click_must_be_given(run: Run, pair: Paths, tmp_path: Path) -> None:
    answer = run("query", *pair, "-o", tmp_path / "out")
    assert (answer.code, answer.out) == (2, "")
    assert "--at" in answer.err
    assert not (tmp_path / "out").exists()


def test_an_object_angle_off_the_scale_is_exit_code_2(
    run: Run, pair: Paths, click: tuple[float, float], tmp_path: Path
) -> None:
    x, y = click
    answer = run("query", *pair, "--at", f"{x},{y},after", "-o", tmp_path, "--object-angle", "181")
    assert answer == (
        2,
        "",
        "error: object_angle is 181.0: it must lie between 0 and 180 degrees\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_fails_in_one_line(run: Run, pair: Paths, tmp_path: Path) -> None:
    missing = tmp_path / "missing.tif"
    answer = run("query", missing, pair[1], "--at", "5,5,after", "-o", tmp_path / "out")
    assert answer == (1, "", f"error: {missing} does not exist\n")
