"""``terradelta evaluate --detector`` on two made pairs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from terradelta.detectors import build_detector, save_detector
from terradelta.detectors.changes import load_change_detector
from terradelta.synth import write_made_dataset
from terradelta.zeroshot.evaluation import evaluate_pairs

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_dataset(tmp_path_factory.mktemp("made"), 2, size=64)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return save_detector(build_detector("fc-siam-diff"), tmp_path_factory.mktemp("detector"))


def test_the_numbers_are_those_of_the_library(
    run: Run, data: Path, detector: Path, tmp_path: Path
) -> None:
    words = "evaluate", "--data", data, "--detector", detector, "--probability", "0.45"
    answer = run(*words, "--json", "-o", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    expected = evaluate_pairs(load_change_detector(detector), data, threshold=0.45)
    assert printed["images"] == 2
    for name, value in expected.metrics().items():
        assert printed[name] == (None if value != value else pytest.approx(value))
    assert printed["settings"]["model"] == "fc-siam-diff"
    assert printed["settings"]["threshold"] == 0.45
    assert json.loads((tmp_path / "metrics.json").read_text()) == printed
    table = run(*words).out.splitlines()
    assert table[0].split() == ["images", "2"]
    assert table[-1] == "in percent, with the 95 % interval over the images"


@pytest.mark.parametrize("words", [["--angle", "20"], ["--otsu"], ["--points-per-side", "8"]])
def test_options_of_anychange_are_refused(
    run: Run, data: Path, detector: Path, words: list[str]
) -> None:
    answer = run("evaluate", "--data", data, "--detector", detector, *words)
    assert answer == (2, "", f"error: {words[0]}: not with --detector\n")
