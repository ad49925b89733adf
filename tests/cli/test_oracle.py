"""``terradelta detect`` and ``evaluate`` with --oracle, on a tiny SAM of random weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from terradelta.oracle import load_oracle
from terradelta.synth import write_made_dataset
from terradelta.zeroshot.evaluation import evaluate_pairs

Run = Callable[..., Any]
Paths = tuple[Path, Path]
FEW = "--points-per-side", "6", "--pred-iou", "0.2", "--stability", "0", "--nms", "0.9"
SETTINGS: dict[str, Any] = {"points_per_side": 6, "pred_iou": 0.2, "stability": 0.0, "nms": 0.9}


def test_a_scene_is_answered(run: Run, pair: Paths, oracle_folder: Path, tmp_path: Path) -> None:
    words = "--oracle", oracle_folder, *FEW, "--top-k", "4", "--no-normalise", "--json"
    answer = run("detect", *pair, *words, "-o", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    record = json.loads(answer.out)
    assert (record["oracle"], record["model"]) == (True, f"oracle {oracle_folder}")
    expected = load_oracle(oracle_folder, **SETTINGS).detect(*pair, top_k=4)
    assert record["changes"] == len(expected)
    with rasterio.open(tmp_path / "change_mask.tif") as source:
        np.testing.assert_array_equal(source.read(1) > 0, expected.to_mask())


def test_plain_images_are_answered_above_even_chances(
    run: Run, pictures: Paths, oracle_folder: Path, tmp_path: Path
) -> None:
    answer = run("detect", *pictures, "--oracle", oracle_folder, *FEW, "-o", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    assert " changes above 90.0 degrees, " in answer.out


def test_it_is_measured(run: Run, oracle_folder: Path, tmp_path: Path) -> None:
    data = write_made_dataset(tmp_path / "made", 2, size=64)
    answer = run(
        "evaluate", "--data", data, "--oracle", oracle_folder, *FEW, "--angle", 60, "--json"
    )
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    expected = evaluate_pairs(load_oracle(oracle_folder, **SETTINGS), data, angle=60)
    for name, value in expected.metrics().items():
        assert printed[name] == (None if value != value else pytest.approx(value))
    assert printed["settings"]["oracle"]


def test_the_sam_may_have_moved(
    run: Run, pair: Paths, oracle_folder: Path, sam_folder: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(oracle_folder, tmp_path / "oracle")
    card = json.loads((moved / "oracle.json").read_text())
    card["settings"]["segmenter"] = str(tmp_path / "gone")
    (moved / "oracle.json").write_text(json.dumps(card))
    words = "detect", *pair, "--oracle", moved, *FEW, "-o", tmp_path / "out"
    lost = run(*words)
    assert lost.code == 1
    assert lost.err.startswith(f"error: '{tmp_path / 'gone'}' is no SAM: choose from sam-vit-b, ")
    assert run(*words, "--model", sam_folder).code == 0
    assert "is no SAM" in run(*words, "--model", "regions").err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            ("--features", "dinov2-b"),
            "--features: not with --oracle, which scores its own embedding",
        ),
        (("--probability", "0.3"), "--probability: only with --detector"),
        (("--detector", "some"), "--oracle: not with --detector"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    run: Run, pair: Paths, oracle_folder: Path, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    answer = run("detect", *pair, "--oracle", oracle_folder, *words, "-o", tmp_path)
    assert answer == (2, "", f"error: {reason}\n")


def test_a_folder_without_an_oracle_is_refused(run: Run, pair: Paths, tmp_path: Path) -> None:
    answer = run("detect", *pair, "--oracle", tmp_path / "nothing", "-o", tmp_path / "out")
    assert answer.code == 1
    assert answer.err.startswith(f"error: {tmp_path / 'nothing'} is not the folder of an oracle")
