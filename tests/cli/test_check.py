import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image

Run = Callable[..., Any]


@pytest.fixture
def far(pair: tuple[Path, Path], tmp_path: Path) -> Path:
    """after.tif, with its content displaced by 6 px."""
    with rasterio.open(pair[1]) as source:
        profile, pixels = source.profile, source.read()
    with rasterio.open(tmp_path / "far.tif", "w", **profile) as target:
        target.write(np.roll(pixels, 6, 2))
    return tmp_path / "far.tif"


def test_a_pair_that_may_be_compared(run: Run, pair: tuple[Path, Path]) -> None:
    answer = run("check", *pair)
    assert (answer.code, answer.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in answer.out.splitlines() if line[0] != " ")
    assert lines["verdict"].startswith("comparable")
    assert lines["overlap"] == "100.0% of before, 100.0% of after"
    assert lines["shift"].startswith("after lies 0.")
    assert " m)" in lines["shift"]
    assert list(lines) == [
        *("verdict", "grid", "overlap", "valid", "shift", "radiometry", "clouds"),
    ]


def test_a_pair_that_may_not(run: Run, pair: tuple[Path, Path], far: Path) -> None:
    answer = run("check", pair[0], far)
    assert (answer.code, answer.err) == (1, "")
    verdict, reason = answer.out.splitlines()[:2]
    assert verdict == "verdict     do not compare"
    assert "more than the 4 px" in reason


def test_the_files(run: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    answer = run("check", *pair, "-o", tmp_path / "new" / "out")
    assert answer.code == 0
    assert sorted(p.name for p in (tmp_path / "new" / "out").iterdir()) == [
        "check.json",
        "check.png",
    ]
    told = json.loads((tmp_path / "new" / "out" / "check.json").read_text())
    assert told["verdict"] == answer.out.splitlines()[0].removeprefix("verdict     ")
    width, height = Image.open(tmp_path / "new" / "out" / "check.png").size
    assert (width, height) == (2 * 128 + 8, 128 + 24)


def test_json(run: Run, pair: tuple[Path, Path], far: Path) -> None:
    answer = run("check", pair[0], far, "--json")
    assert (answer.code, answer.err) == (1, "")
    told = json.loads(answer.out)
    assert told["verdict"] == "do not compare"
    assert told["shift"]["shift_px"] == pytest.approx([5.65, 0.25], abs=0.3)
    assert told["grid"]["crs"] == "EPSG:32633"


def test_an_error_is_one_line(run: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    answer = run("check", pair[0], tmp_path / "missing.tif")
    assert answer == (1, "", f"error: {tmp_path / 'missing.tif'} does not exist\n")


def test_a_folder_that_cannot_be_written_is_found_first(
    run: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    answer = run("check", *pair, "-o", tmp_path / "file")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("error: cannot write into the folder")


def test_the_help(run: Run) -> None:
    answer = run("check", "--help")
    assert answer.code == 0
    assert "Usage: terradelta check [OPTIONS]" in answer.out
    assert "do not compare" in answer.out
