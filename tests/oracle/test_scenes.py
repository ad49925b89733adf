"""An oracle on scenes: the same runner, with the score network's angles."""

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch

from terradelta import detect_scene, make_scene
from terradelta.errors import UsageError
from terradelta.oracle import Oracle, OracleNetwork, load_oracle, save_oracle

from ..run.same import interrupted_after

Paths = tuple[Path, Path]
SETTINGS: dict[str, Any] = {"points_per_side": 3, "pred_iou": 0.3, "stability": 0.0, "nms": 1.0}


@pytest.fixture(scope="module")
def oracle(oracle_folder: Path) -> Oracle:
    return load_oracle(oracle_folder, **SETTINGS)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """before.tif and after.tif of 260 x 140 px: eight tiles."""
    folder = tmp_path_factory.mktemp("wide")
    make_scene((140, 260), seed=3).save(folder)
    return folder / "before.tif", folder / "after.tif"


@pytest.fixture(scope="module")
def angle(oracle: Oracle, wide: Paths) -> float:
    """One that about half of the pixels exceed."""
    return round(float(np.median(oracle.detect(*wide, angle=0).pixel_angle)), 2)


def test_a_scene_of_tiles_is_interrupted_resumed_and_scored(
    oracle: Oracle, wide: Paths, angle: float, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        detect_scene(
            *wide, tmp_path / "a", model=oracle, angle=angle, progress=interrupted_after(3)
        )
    detect_scene(*wide, tmp_path / "a", model=oracle, angle=angle)
    result = detect_scene(*wide, tmp_path / "b", model=oracle, angle=angle)
    assert result.record["tiles"]["count"] == 8
    assert result.record["oracle"]
    assert result.record["model"] == oracle.segmenter.name
    tables = [
        geopandas.read_file(tmp_path / name / "changes.gpkg", layer="changes")
        for name in ("a", "b")
    ]
    assert tables[0].equals(tables[1])
    assert len(tables[0]) == len(result) > 3
    assert (tables[0]["angle"] > angle).all()
    np.testing.assert_allclose(
        tables[0]["score"], -np.cos(np.radians(tables[0]["angle"])), atol=1e-4
    )


def test_within_the_canvas_it_is_answered_as_an_image_is(oracle: Oracle, tmp_path: Path) -> None:
    make_scene((96, 128), seed=3).save(tmp_path)
    pair = tmp_path / "before.tif", tmp_path / "after.tif"
    expected = oracle.detect(*pair, top_k=5)
    detect_scene(*pair, tmp_path, model=oracle, top_k=5, normalise=False)
    with rasterio.open(tmp_path / "change_mask.tif") as source:
        np.testing.assert_array_equal(source.read(1) > 0, expected.to_mask())
    assert json.loads((tmp_path / "run.json").read_text())["default_angle_deg"] == 90


def test_another_oracle_does_not_go_on_with_its_tiles(
    oracle: Oracle, oracle_folder: Path, wide: Paths, tmp_path: Path
) -> None:
    detect_scene(*wide, tmp_path / "out", model=oracle)
    other = _with_other_weights(oracle_folder, tmp_path / "other")
    other.segmenter.name = oracle.segmenter.name
    with pytest.raises(UsageError, match="began with weights_sha256 ="):
        detect_scene(*wide, tmp_path / "out", model=other)


def _with_other_weights(folder: Path, new: Path) -> Oracle:
    from terradelta.oracle import load_oracle_network

    network: OracleNetwork = load_oracle_network(folder)
    with torch.no_grad():
        network.score.score.bias.add_(1e-3)
    return load_oracle(save_oracle(network, new), **SETTINGS)
