import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terradelta.cli import console
from terradelta.data import DATASETS

Run = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs of 32 x 32 px with their masks."""
    random = np.random.default_rng(0)
    truth = np.zeros((32, 32), np.uint8)
    truth[4:9, 5:20] = 255
    for name in ("a.png", "b.png", "c.png"):
        for part in ("A", "B"):
            save(tmp_path / part / name, random.integers(0, 256, (32, 32, 3)).astype(np.uint8))
        save(tmp_path / "label" / name, truth)
    return tmp_path


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_every_dataset_is_listed_with_numbers_terms_and_source(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 300)
    answer = run("data", "list")
    assert (answer.code, answer.err) == (0, "")
    table, sources = answer.out.split("where to get them")
    rows = {line.split()[0]: line for line in table.splitlines() if line.strip()}
    for name, card in DATASETS.items():
        assert card.labels in rows[name]
        assert card.terms in rows[name]
        for split, published in card.splits.items():
            assert f"{split} {published.count:,}" in table
        assert (name in sources) == bool(card.splits)
        assert not card.splits or card.url in sources


def test_the_list_as_json_is_every_card(run: Run) -> None:
    answer = run("data", "list", "--json")
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    assert list(printed) == list(DATASETS)
    assert printed["levir-cd"]["splits"]["test"] == {"count": 128, "size": [1024, 1024]}
    assert printed["second"]["crops"] == {"anychange": 256, "changeanywhere": 256}
    assert printed["openearthmap"]["classes"][8] == "building"


def test_a_whole_folder_is_well(run: Run, folder: Path) -> None:
    answer = run("data", "verify", "folder", folder)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"folder in {folder}: all 3; 9 files; all is well\n"


def test_each_problem_is_one_line_and_the_exit_code_1(run: Run, folder: Path) -> None:
    cut = folder / "A" / "a.png"
    cut.write_bytes(cut.read_bytes()[:1000])
    (folder / "B" / "b.png").unlink()
    third = np.zeros((32, 32), np.uint8)
    third[0, :2] = 1, 2
    save(folder / "label" / "c.png", third)
    save(folder / "label" / "a.png", third[:, :30] // 2)
    answer = run("data", "verify", "folder", folder)
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert [line.split(": ")[0] for line in lines[:4]] == [
        str(cut),
        str(folder / "label" / "a.png"),
        str(folder / "B" / "b.png"),
        str(folder / "label" / "c.png"),
    ]
    assert "cannot be read as an image" in lines[0]
    assert lines[2].endswith(f"missing; its partner {folder / 'A' / 'b.png'} is there")
    assert "it holds 0, 1, 2" in lines[3]
    assert lines[4:] == [f"folder in {folder}: all 3; 9 files; 4 problems"]


def test_json_holds_every_problem(run: Run, folder: Path) -> None:
    (folder / "B" / "b.png").unlink()
    answer = run("data", "verify", "folder", folder, "--json")
    assert answer.code == 1
    printed = json.loads(answer.out)
    assert printed["ok"] is False
    assert printed["found"] == {"all": 3}
    (problem,) = printed["problems"]
    assert problem["file"] == str(folder / "B" / "b.png")
    assert problem["problem"].startswith("missing")


def test_an_unknown_name_is_wrong_use(run: Run, folder: Path) -> None:
    answer = run("data", "verify", "levir", folder)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: unknown dataset 'levir': choose from levir-cd, ")


def test_what_is_absent_is_told_with_its_source(run: Run, tmp_path: Path) -> None:
    answer = run("data", "verify", "levir-cd", tmp_path / "absent")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.count("\n") == 1
    assert DATASETS["levir-cd"].url in answer.err
    assert DATASETS["levir-cd"].terms in answer.err


def test_brackets_in_a_path_are_printed_as_they_are(run: Run, folder: Path) -> None:
    odd = folder.rename(folder.with_name("pairs [bold] :smile:"))
    (odd / "B" / "b.png").unlink()
    assert f"{odd / 'B' / 'b.png'}: missing" in run("data", "verify", "folder", odd).out
