import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
from PIL import Image

from terradelta import AnyChange

Run = Callable[..., Any]
Paths = tuple[Path, Path]
PLACED = ["changes.gpkg", "change_mask.tif", "score.tif", "overlay.png", "run.json"]
PLAIN = ["changes.geojson", "change_mask.png", "score.png", "overlay.png", "run.json"]


def visible(folder: Path) -> list[str]:
    """The files of a folder, without the folder in which a scene keeps what is done."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".run")


def test_the_files_hold_what_the_library_finds(run: Run, pair: Paths, tmp_path: Path) -> None:
    answer = run("detect", *pair, "--no-normalise", "-o", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    changes = AnyChange().detect(*pair)
    share = changes.to_mask().mean()
    headline, *listed = answer.out.splitlines()
    assert headline == f"{len(changes)} changes above 23.0 degrees, {share:.1%} of the area"
    assert listed == [f"  {tmp_path / 'out' / name}" for name in PLACED]
    assert visible(tmp_path / "out") == sorted(PLACED)
    with rasterio.open(tmp_path / "out" / "change_mask.tif") as source:
        np.testing.assert_array_equal(source.read(1) > 0, changes.to_mask())
    table = geopandas.read_file(tmp_path / "out" / "changes.gpkg")
    assert table["date"].tolist() == changes.date


def test_plain_images_give_plain_files(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        pixels = random.integers(0, 256, (40, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    answer = run("detect", tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "out")
    assert answer.code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(PLAIN)


def test_one_image_without_coordinates_is_said_to_be_so(
    run: Run, pair: Paths, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.png"
    with rasterio.open(pair[1]) as source:
        Image.fromarray(source.read().transpose(1, 2, 0)).save(plain)
    answer = run("detect", pair[0], plain, "-o", tmp_path / "out")
    assert answer.code == 0
    assert answer.err == f"note: {plain} has no coordinates: the results are in pixels\n"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(PLAIN)


def test_json_is_the_record_of_the_run_and_nothing_else(
    run: Run, pair: Paths, tmp_path: Path
) -> None:
    answer = run("detect", *pair, "-o", tmp_path, "--json")
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    written = json.loads((tmp_path / "run.json").read_text())
    printed.pop("finished"), written.pop("finished")
    assert printed == written
    assert printed["files"] == PLACED
    assert printed["before"]["source"] == str(pair[0])


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--angle", "31.5"], {"angle": 31.5}),
        (["--otsu"], {"threshold": "otsu"}),
        (["--top-k", "3"], {"top_k": 3}),
    ],
)
def test_each_way_to_choose_the_threshold_is_that_of_the_library(
    run: Run, pair: Paths, tmp_path: Path, words: list[str], asked: dict[str, Any]
) -> None:
    answer = run("detect", *pair, "--no-normalise", "-o", tmp_path, "--json", *words)
    printed = json.loads(answer.out)
    changes = AnyChange().detect(*pair, **asked)
    assert printed["asked"] == asked
    assert printed["changes"] == len(changes)
    assert printed["threshold_deg"] == round(changes.threshold, 4)


def test_every_setting_reaches_the_run(run: Run, pair: Paths, tmp_path: Path) -> None:
    words = (
        "--model regions --preset paper --points-per-side 20 --pred-iou 0.1 --stability 0.2 "
        "--nms 0.5 --min-region-area 4 --upscale 2 --device cpu --dtype float32"
    )
    printed = json.loads(run("detect", *pair, "-o", tmp_path, "--json", *words.split()).out)
    expected = {
        "model": "regions",
        "preset": "paper",
        "default_angle_deg": 25.0,
        "points_per_side": 20,
        "pred_iou": 0.1,
        "stability": 0.2,
        "nms": 0.5,
        "min_region_area": 4,
        "upscale": 2,
    }
    assert {name: printed[name] for name in expected} == expected


def test_a_missing_file_fails_in_one_line(run: Run, pair: Paths, tmp_path: Path) -> None:
    missing = tmp_path / "missing.tif"
    answer = run("detect", pair[0], missing, "-o", tmp_path / "out")
    assert answer == (1, "", f"error: {missing} does not exist\n")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_that_is_no_image_fails_in_one_line(run: Run, pair: Paths, tmp_path: Path) -> None:
    text = tmp_path / "notes.tif"
    text.write_text("not an image")
    answer = run("detect", text, pair[1], "-o", tmp_path / "out")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"error: {text} cannot be read as an image")
    assert answer.err.count("\n") == 1


def test_images_that_do_not_fit_fail_in_one_line(run: Run, pair: Paths, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "small.png")
    answer = run("detect", pair[0], tmp_path / "small.png", "-o", tmp_path / "out")
    assert (answer.code, answer.out) == (1, "")
    assert "128 x 128 px" in answer.err
    assert "40 x 30 px" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--angle", "20", "--otsu"], "angle and threshold contradict each other"),
        (["--top-k", "5", "--otsu"], "threshold and top_k contradict each other"),
        (["--angle", "200"], "the angle is 200.0"),
        (["--angle", "nan"], "the angle is nan"),
        (["--top-k", "0"], "top_k is 0"),
        (["--nms", "1.5"], "nms is 1.5: it must lie between 0 and 1"),
        (["--points-per-side", "0"], "points_per_side is 0"),
        (["--upscale", "9"], "upscale is 9"),
        (["--min-region-area", "-1"], "min_region_area is -1"),
        (["--device", "abacus"], "unknown device 'abacus'"),
    ],
)
def test_wrong_use_is_exit_code_2_and_one_line_that_names_it(
    run: Run, pair: Paths, tmp_path: Path, words: list[str], named: str
) -> None:
    answer = run("detect", *pair, "-o", tmp_path, "--points-per-side", "8", *words)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert named in answer.err
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--preset", "papper"], ["--preset", "papper", "paper-xview2"]),
        (["--dtype", "float8"], ["--dtype", "float8", "bfloat16"]),
        (["--angle", "wide"], ["--angle"]),
        (["--top-k", "2.5"], ["--top-k"]),
        (["--angel", "20"], ["--angel"]),
    ],
)
def test_an_option_that_cannot_be_parsed_is_exit_code_2_and_named(
    run: Run, pair: Paths, tmp_path: Path, words: list[str], named: list[str]
) -> None:
    answer = run("detect", *pair, "-o", tmp_path / "out", *words)
    assert (answer.code, answer.out) == (2, "")
    assert all(word in answer.err for word in named)
    assert "Traceback" not in answer.err
    assert not (tmp_path / "out").exists()


def test_the_folder_for_the_results_must_be_given(run: Run, pair: Paths) -> None:
    answer = run("detect", *pair)
    assert (answer.code, answer.out) == (2, "")
    assert "--out" in answer.err


def test_an_unknown_model_is_named_with_those_there_are(
    run: Run, pair: Paths, tmp_path: Path
) -> None:
    answer = run("detect", *pair, "-o", tmp_path, "--model", "rigions")
    assert (answer.code, answer.out) == (1, "")
    assert "'rigions'" in answer.err
    assert "sam-vit-h" in answer.err
    assert answer.err.count("\n") == 1


def test_a_folder_that_is_a_file_is_refused_before_any_work(run: Run, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    missing = tmp_path / "missing.tif"
    answer = run("detect", missing, missing, "-o", taken)
    assert answer.code == 1
    assert answer.err.startswith(f"error: cannot write into the folder {taken}")
    assert answer.err.count("\n") == 1
    assert taken.read_text() == "a file"


def test_a_file_that_cannot_be_written_fails_in_one_line_and_leaves_no_other_half(
    run: Run, pair: Paths, tmp_path: Path
) -> None:
    (tmp_path / "score.tif").mkdir()
    answer = run("detect", *pair, "-o", tmp_path)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"error: cannot write {tmp_path / 'score.tif'}")
    assert answer.err.count("\n") == 1
    assert not any(name.startswith(".") for name in visible(tmp_path))


def test_a_failing_run_leaves_the_results_of_the_last_one(
    run: Run, pair: Paths, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run("detect", *pair, "-o", out)
    old = {name: (out / name).read_bytes() for name in visible(out)}
    assert run("detect", pair[0], tmp_path / "missing.tif", "-o", out).code == 1
    assert run("detect", *pair, "-o", out, "--angle", "20", "--otsu").code == 2
    assert {name: (out / name).read_bytes() for name in visible(out)} == old


def test_names_with_brackets_and_colons_are_printed_as_they_are(
    run: Run, pair: Paths, tmp_path: Path
) -> None:
    out = tmp_path / "a [bold] of [" / "red] :smile:"
    answer = run("detect", *pair, "-o", out)
    assert answer.code == 0
    assert answer.out.splitlines()[1:] == [f"  {out / name}" for name in PLACED]
