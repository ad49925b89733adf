"""``terradelta detect --detector`` with a network of random weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from PIL import Image

from terradelta.detectors import build_detector, save_detector
from terradelta.detectors.changes import load_change_detector

Run = Callable[..., Any]
Paths = tuple[Path, Path]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return save_detector(build_detector("fc-siam-diff"), tmp_path_factory.mktemp("detector"))


@pytest.fixture(scope="module")
def middle(detector: Path, pair: Paths) -> float:
    """A probability above which about half of the scene lies."""
    score = load_change_detector(detector).detect(*pair).score_image()
    return round(float(np.median(score)), 4)


def test_a_scene_is_answered_with_the_files_of_every_scene(
    run: Run, pair: Paths, detector: Path, middle: float, tmp_path: Path
) -> None:
    words = "--detector", detector, "--probability", middle, "--no-normalise", "--stac"
    answer = run("detect", *pair, *words, "-o", tmp_path)
    assert (answer.code, answer.err) == (0, "")
    found = load_change_detector(detector).detect(*pair, threshold=middle)
    headline = f"{len(found)} changes above a probability of {middle:g}, "
    assert answer.out.startswith(headline)
    names = ["changes.gpkg", "change_mask.tif", "score.tif", "overlay.png", "item.json", "run.json"]
    assert answer.out.splitlines()[1:] == [f"  {tmp_path / name}" for name in names]
    with rasterio.open(tmp_path / "change_mask.tif") as source:
        mask = source.read(1) > 0
    assert (mask == found.to_mask()).mean() > 0.999, (
        "tiles hold probabilities in steps of 1 / 65535"
    )
    assert len(geopandas.read_file(tmp_path / "changes.gpkg")) > 0


def test_plain_images_are_answered_with_plain_files(
    run: Run, pictures: Paths, detector: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    answer = run("detect", *pictures, "--detector", detector, "-o", out, "--json")
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    found = load_change_detector(detector).detect(*pictures)
    assert (printed["model"], printed["changes"]) == ("fc-siam-diff", len(found))
    assert printed["threshold_probability"] == 0.5
    mask = np.asarray(Image.open(out / "change_mask.png")) > 0
    np.testing.assert_array_equal(mask, found.to_mask())
    assert sorted(printed["files"]) == sorted(path.name for path in out.iterdir())


def test_many_pairs_tell_the_probability_in_the_summary(
    run: Run, pair: Paths, detector: Path, tmp_path: Path
) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text(f"before,after,name\n{pair[0]},{pair[1]},one\n")
    out = tmp_path / "out"
    assert run("detect", "--pairs", table, "--detector", detector, "-o", out).code == 0
    heading, row = (line.split(",") for line in (out / "summary.csv").read_text().splitlines())
    told = dict(zip(heading, row, strict=True))
    assert (told["threshold_probability"], told["threshold_deg"], told["error"]) == ("0.5", "", "")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--angle", "20"], "--angle: not with --detector"),
        (["--otsu", "--preset", "paper"], "--preset, --otsu: not with --detector"),
        (["--model", "regions"], "--model: not with --detector"),
        (["--top-k", "5", "--upscale", "2"], "--top-k, --upscale: not with --detector"),
        (["--features", "dinov2-s"], "--features: not with --detector"),
        (["--probability", "1.5"], "the probability is 1.5: it must lie between 0 and 1"),
        (["--probability", "nan"], "the probability is nan"),
        (["--tile", "32"], "the halo is 16 px: with this model it must be at least 32 px"),
        (["--device", "abacus"], "unknown device 'abacus'"),
    ],
)
def test_wrong_use_is_exit_code_2_and_one_line_that_names_it(
    run: Run, pair: Paths, detector: Path, tmp_path: Path, words: list[str], named: str
) -> None:
    answer = run("detect", *pair, "-o", tmp_path / "out", "--detector", detector, *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert named in answer.err
    assert answer.err.count("\n") == 1


def test_a_probability_without_a_detector_is_refused(run: Run, pair: Paths, tmp_path: Path) -> None:
    answer = run("detect", *pair, "-o", tmp_path / "out", "--probability", "0.7")
    assert answer == (2, "", "error: --probability: only with --detector\n")


def test_a_folder_that_is_no_detector_is_named(run: Run, pair: Paths, tmp_path: Path) -> None:
    for folder in (tmp_path / "missing", tmp_path):
        answer = run("detect", *pair, "-o", tmp_path / "out", "--detector", folder)
        assert (answer.code, answer.out) == (1, "")
        assert answer.err.startswith(f"error: {folder} is not the folder of a detector")
        assert answer.err.count("\n") == 1
