"""A made scene of several small tiles, and what an uninterrupted run writes of it."""

from pathlib import Path
from typing import Any

import pytest

from terradelta import detect_scene, make_scene
from terradelta.run import SceneResult

TILES: dict[str, Any] = {"tile": 128, "halo": 64}
TILE_COUNT = 12


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """before.tif and after.tif of 288 x 288 px; truth.tif lies beside them."""
    folder = tmp_path_factory.mktemp("scene")
    make_scene(288, seed=3).save(folder)
    return folder / "before.tif", folder / "after.tif"


@pytest.fixture(scope="session")
def whole(pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> SceneResult:
    """The result in small tiles, not interrupted; for reading only."""
    return detect_scene(*pair, tmp_path_factory.mktemp("whole"), **TILES)
