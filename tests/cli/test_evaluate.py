import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terradelta import AnyChange
from terradelta.metrics import PixelCounts

Run = Callable[..., Any]


def write_mask(path: Path, rows: list[str]) -> None:
    """``#`` is change."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.array([[letter == "#" for letter in row] for row in rows])
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)


@pytest.fixture
def masks(tmp_path: Path) -> tuple[Path, Path]:
    """Two answers and their truth: 3 pixels right, 1 too many, 2 missed, 10 rightly unchanged."""
    pred, truth = tmp_path / "pred", tmp_path / "truth"
    write_mask(pred / "a.png", ["##..", "#..."])
    write_mask(truth / "a.png", ["##..", "...."])
    write_mask(pred / "b.png", ["...#", "...."])
    write_mask(truth / "b.png", [".###", "...."])
    return pred, truth


@pytest.fixture
def dataset(pair: tuple[Path, Path], tmp_path: Path) -> Path:
    """The made scene as a folder with A, B and label."""
    folder = tmp_path / "data"
    files = pair[0], pair[1], pair[0].with_name("truth.tif")
    for part, path in zip(("A", "B", "label"), files, strict=True):
        (folder / part).mkdir(parents=True)
        shutil.copy(path, folder / part / "scene.tif")
    return folder


def test_masks_on_disk_are_pooled_over_the_folder(run: Run, masks: tuple[Path, Path]) -> None:
    answer = run("evaluate", "--pred", masks[0], "--truth", masks[1], "--json")
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    assert printed["images"] == 2
    assert printed["precision"] == 3 / 4
    assert printed["recall"] == 3 / 5
    assert printed["f1"] == 6 / 9
    assert printed["iou"] == 3 / 6
    assert printed["accuracy"] == 13 / 16
    assert printed["macro_f1"] == pytest.approx((6 / 9 + 20 / 23) / 2)
    assert printed["macro_iou"] == pytest.approx((3 / 6 + 10 / 13) / 2)
    # The object of a is 2 of 3 pixels, found up to 0.65; that of b is 1 of 3 pixels, never found.
    assert printed["ar@1000"] == pytest.approx(0.5 * 4 / 10)


def test_the_printed_table_is_in_percent(run: Run, masks: tuple[Path, Path]) -> None:
    answer = run("evaluate", "--pred", masks[0], "--truth", masks[1])
    assert (answer.code, answer.err) == (0, "")
    table = dict(line.split() for line in answer.out.splitlines())
    assert table["images"] == "2"
    assert table["precision"] == "75.0"
    assert table["recall"] == "60.0"
    assert table["ar@1000"] == "20.0"


def test_a_metric_that_is_not_defined_is_null(run: Run, tmp_path: Path) -> None:
    write_mask(tmp_path / "pred" / "a.png", ["....", "...."])
    write_mask(tmp_path / "truth" / "a.png", ["....", "...."])
    folders = "--pred", tmp_path / "pred", "--truth", tmp_path / "truth"
    answer = run("evaluate", *folders, "--json")
    assert answer.code == 0
    printed = json.loads(answer.out, parse_constant=pytest.fail)
    assert printed["accuracy"] == 1
    assert (printed["precision"], printed["recall"], printed["ar@1000"]) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "asked"),
    [([], {}), (["--angle", "35"], {"angle": 35}), (["--otsu"], {"threshold": "otsu"})],
)
def test_a_folder_of_pairs_is_run_and_compared(
    run: Run, dataset: Path, words: list[str], asked: dict[str, Any]
) -> None:
    answer = run("evaluate", "--data", dataset, "--json", *words)
    assert (answer.code, answer.err) == (0, "")
    changes = AnyChange().detect(dataset / "A/scene.tif", dataset / "B/scene.tif", **asked)
    truth = np.asarray(Image.open(dataset / "label" / "scene.tif")) > 0
    printed = json.loads(answer.out)
    for name, value in PixelCounts.of(changes.to_mask(), truth).as_dict().items():
        assert printed[name] == pytest.approx(value)
    assert printed["images"] == 1
    assert 0 <= printed["ar@1000"] <= 1


@pytest.mark.parametrize(
    "given", [[], ["pred"], ["truth"], ["data", "pred", "truth"], ["data", "truth"]]
)
def test_either_pairs_or_masks_must_be_given(run: Run, tmp_path: Path, given: list[str]) -> None:
    words = [word for name in given for word in (f"--{name}", tmp_path)]
    answer = run("evaluate", *words)
    assert answer == (2, "", "error: give either --data DIR, or --pred DIR and --truth DIR\n")


def test_contradictory_thresholds_are_exit_code_2(run: Run, dataset: Path) -> None:
    answer = run("evaluate", "--data", dataset, "--angle", "20", "--otsu")
    assert (answer.code, answer.out) == (2, "")
    assert "contradict" in answer.err
    assert answer.err.count("\n") == 1


def test_a_missing_folder_fails_in_one_line(run: Run, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    answer = run("evaluate", "--pred", missing, "--truth", tmp_path)
    assert answer == (1, "", f"error: {missing} is not a folder\n")


def test_a_missing_partner_fails_in_one_line_that_names_it(
    run: Run, masks: tuple[Path, Path]
) -> None:
    (masks[1] / "b.png").unlink()
    answer = run("evaluate", "--pred", masks[0], "--truth", masks[1])
    assert (answer.code, answer.out) == (1, "")
    assert str(masks[1]) in answer.err
    assert "'b'" in answer.err
    assert answer.err.count("\n") == 1
