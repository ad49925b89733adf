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
    # Of 16 pixels 4 are answered and 5 true, of the rest 12 and 11.
    by_chance = (4 * 5 + 12 * 11) / 16**2
    assert printed["kappa"] == pytest.approx((13 / 16 - by_chance) / (1 - by_chance))
    # The object of a is 2 of 3 pixels, found up to 0.65; that of b is 1 of 3 pixels, never found.
    assert printed["ar@1000"] == printed["ar_small@1000"] == pytest.approx(0.5 * 4 / 10)
    assert printed["ar_large@1000"] is None
    assert (printed["truths"], printed["proposals"], printed["object_f1"]) == (2, 2, 1 / 2)
    # With two images the ends are those of each alone.
    assert printed["interval_95"]["recall"] == [1 / 3, 1]
    assert (printed["pred"], printed["truth"]) == tuple(str(folder) for folder in masks)


def test_the_printed_table_is_in_percent_with_intervals(run: Run, masks: tuple[Path, Path]) -> None:
    answer = run("evaluate", "--pred", masks[0], "--truth", masks[1])
    assert (answer.code, answer.err) == (0, "")
    *lines, last = answer.out.splitlines()
    table = dict(line.split(maxsplit=1) for line in lines)
    assert table["images"] == "2"
    assert table["precision"] == "75.0  66.7 to 100.0"
    assert table["recall"] == "60.0  33.3 to 100.0"
    assert table["ar@1000"] == "20.0  0.0 to 40.0"
    assert table["ar_large@1000"] == "-"
    assert last == "in percent, with the 95 % interval over the images"


def test_of_one_image_the_table_says_that_it_has_no_interval(
    run: Run, masks: tuple[Path, Path]
) -> None:
    for folder in masks:
        (folder / "b.png").unlink()
    answer = run("evaluate", "--pred", masks[0], "--truth", masks[1])
    assert (answer.code, answer.err) == (0, "")
    *lines, last = answer.out.splitlines()
    table = dict(line.split(maxsplit=1) for line in lines)
    assert (table["images"], table["precision"], table["recall"]) == ("1", "66.7", "100.0")
    assert last == "in percent; one image has no interval over images"


def test_the_results_are_kept_in_a_folder(
    run: Run, masks: tuple[Path, Path], tmp_path: Path
) -> None:
    folders = "--pred", masks[0], "--truth", masks[1]
    answer = run("evaluate", *folders, "--json", "-o", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    assert (tmp_path / "out" / "metrics.json").read_text() == answer.out
    lines = (tmp_path / "out" / "per_image.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["name", "a", "b"]


def test_a_folder_that_cannot_be_written_fails_before_the_work(
    run: Run, masks: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    answer = run("evaluate", "--pred", masks[0], "--truth", tmp_path, "-o", tmp_path / "file")
    assert (answer.code, answer.out) == (1, "")
    assert "cannot write into the folder" in answer.err


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
    assert (printed["data"], printed["dataset"], printed["split"]) == (
        str(dataset),
        "folder",
        "all",
    )
    assert printed["settings"]["model"] == "regions"
    assert printed["settings"]["angle"] == asked.get("angle")


def test_a_split_of_a_dataset_is_chosen(run: Run, dataset: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        shutil.copytree(dataset, tmp_path / "split" / split)
    words = "evaluate", "--data", tmp_path / "split", "--json"
    assert json.loads(run(*words).out)["split"] == "test"
    assert json.loads(run(*words, "--split", "all").out)["images"] == 2
    answer = run(*words, "--split", "val")
    assert (answer.code, answer.out) == (2, "")
    assert "has no split 'val': choose from train, test, all" in answer.err


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
