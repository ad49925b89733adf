import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from terradelta import make_scene
from terradelta.metrics import PixelCounts

Run = Callable[..., Any]
FILES = [
    *("before.tif", "after.tif", "truth.tif", "events.json"),
    *("changes.gpkg", "change_mask.tif", "score.tif", "overlay.png", "run.json"),
]


def counts_on_disk(folder: Path) -> PixelCounts:
    masks = []
    for name in ("change_mask.tif", "truth.tif"):
        with rasterio.open(folder / name) as source:
            masks.append(source.read(1) > 0)
    return PixelCounts.of(*masks)


def test_the_printed_scores_are_those_of_the_files(run: Run, tmp_path: Path) -> None:
    answer = run("demo", "-o", tmp_path / "out", "--size", "256", "--seed", "7")
    assert (answer.code, answer.err) == (0, "")
    counts = counts_on_disk(tmp_path / "out")
    lines = answer.out.splitlines()
    assert f"precision {counts.precision:.3f}" in lines
    assert f"recall    {counts.recall:.3f}" in lines
    assert f"F1        {counts.f1:.3f}" in lines
    assert lines[0].startswith("scene     256 x 256 px")
    assert counts.f1 > 0.5
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)


def test_the_scene_is_the_made_scene_of_that_seed(run: Run, tmp_path: Path) -> None:
    assert run("demo", "-o", tmp_path, "--size", "96", "--seed", "5").code == 0
    scene = make_scene(96, seed=5)
    with rasterio.open(tmp_path / "after.tif") as source:
        np.testing.assert_array_equal(np.moveaxis(source.read(), 0, -1), scene.after)


def test_json_is_one_object_with_every_metric(run: Run, tmp_path: Path) -> None:
    answer = run("demo", "-o", tmp_path, "--size", "128", "--seed", "3", "--json")
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    for name, value in counts_on_disk(tmp_path).as_dict().items():
        assert printed[name] == value
    assert printed["folder"] == str(tmp_path)
    assert printed["changes"] == json.loads((tmp_path / "run.json").read_text())["changes"]


@pytest.mark.parametrize(
    ("words", "named"), [(["--size", "8"], "size"), (["--seed", "-1", "--size", "64"], "seed")]
)
def test_a_scene_that_cannot_be_made_is_exit_code_2(
    run: Run, tmp_path: Path, words: list[str], named: str
) -> None:
    answer = run("demo", "-o", tmp_path, *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {named} must be")
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_the_folder_is_printed_as_it_is(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a [bold] of [" / "red] :smile:"
    answer = run("demo", "-o", folder, "--size", "64")
    assert answer.code == 0
    assert f"files     {folder}: changes.gpkg" in answer.out
