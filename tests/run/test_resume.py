"""A run that is killed anywhere goes on where it was and ends with what an unbroken run gives."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from geopandas.testing import assert_geodataframe_equal

from terradelta import make_scene
from terradelta.cli import main

KILLS = 3
pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    make_scene(600, seed=2).save(folder)
    return folder


def words(scene: Path, out: Path) -> list[str]:
    pair = str(scene / "before.tif"), str(scene / "after.tif")
    return ["detect", *pair, "-o", str(out), "--tile", "128"]


def done_tiles(out: Path) -> list[tuple[int, int]]:
    journal = out / ".run" / "journal.jsonl"
    if not journal.exists():
        return []
    return [tuple(json.loads(line)["tile"]) for line in journal.read_text().splitlines()]


def run_to_the_end(monkeypatch: pytest.MonkeyPatch, scene: Path, out: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["terradelta", *words(scene, out)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0


def killed_after(scene: Path, out: Path, tiles: int, seconds: float) -> None:
    """Start the command and kill it some time after so many tiles are done."""
    code = "import sys; from terradelta.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words(scene, out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while len(done_tiles(out)) < tiles and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_to_the_end(monkeypatch, scene, whole)
    dice = np.random.default_rng(0)
    counts = []
    for _ in range(KILLS):
        killed_after(scene, broken, len(done_tiles(broken)) + 5, dice.uniform(0, 0.3))
        counts.append(len(done_tiles(broken)))
    assert counts == sorted(set(counts)), "every run went on from the last"
    assert counts[-1] < len(done_tiles(whole)), "the last kill was before the end"
    run_to_the_end(monkeypatch, scene, broken)
    assert sorted(done_tiles(broken)) == sorted(done_tiles(whole))
    assert max(Counter(done_tiles(broken)).values()) == 1
    for name in ("change_mask.tif", "score.tif"):
        with rasterio.open(whole / name) as a, rasterio.open(broken / name) as b:
            np.testing.assert_array_equal(a.read(), b.read())
    first, second = (geopandas.read_file(out / "changes.gpkg") for out in (whole, broken))
    assert_geodataframe_equal(first, second)


def test_a_finished_run_looks_at_no_tile_again(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_to_the_end(monkeypatch, scene, tmp_path)
    before = done_tiles(tmp_path)
    run_to_the_end(monkeypatch, scene, tmp_path)
    assert done_tiles(tmp_path) == before
