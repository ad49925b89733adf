import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terradelta.cli.bench_tables import COMMANDS

Run = Callable[..., Any]
FILES = {"results.json", "table.md", "per_image.csv", "report.html", "maps", "pictures"}
CONDITIONS = {
    "directions": ["both directions", "before to after", "after to before"],
    "radiation": ["as it is", "colour jitter"],
    "clicks": ["no click", "one click", "three clicks"],
    "latent": ["same date"],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of 48 px in which three bright squares appear."""
    folder = tmp_path_factory.mktemp("data")
    for number in range(2):
        before = np.random.default_rng(number).integers(60, 90, (48, 48, 3)).astype(np.uint8)
        label = np.zeros((48, 48), np.uint8)
        for top, left in ((4, 4), (4, 28), (28, 14)):
            label[top : top + 12, left : left + 12] = 255
        after = np.where(label[..., None] > 0, 210, before).astype(np.uint8)
        for part, image in {"A": before, "B": after, "label": label}.items():
            (folder / part).mkdir(exist_ok=True)
            Image.fromarray(image).save(folder / part / f"{number}.png")
    return folder


@pytest.mark.parametrize("table", CONDITIONS)
def test_a_table_is_made_by_one_command(run: Run, data: Path, tmp_path: Path, table: str) -> None:
    answer = run("bench", table, "--data", data, "-o", tmp_path, "--json")
    assert answer.code == 0
    told = json.loads(answer.out, parse_constant=pytest.fail)
    assert told == json.loads((tmp_path / "results.json").read_text())
    assert told["table"] == table
    assert [row["condition"] for row in told["rows"]] == CONDITIONS[table]
    assert [row["pairs"] for row in told["rows"]] == [2] * len(told["rows"])
    assert told["left_out"] == []
    assert {path.name for path in tmp_path.iterdir()} >= FILES


@pytest.mark.parametrize("table", ["proposals", "unsupervised"])
def test_methods_and_backbones_are_chosen(run: Run, data: Path, tmp_path: Path, table: str) -> None:
    words = "--methods", "cva", "--methods", "anychange", "-m", "regions", "-m", tmp_path / "no.pth"
    answer = run("bench", table, "--data", data, "-o", tmp_path / "out", *words, "--limit", "1")
    assert answer.code == 0
    headings, first, second, third, *_ = answer.out.splitlines()
    assert ("mask AR@1000" in headings) == (table == "proposals")
    assert first.endswith("1  measured")
    assert "regions" in second
    assert "no.pth" in third
    assert third.endswith("0  left out")
    assert "Data: " in answer.out
    assert "1 pairs of 2, the first by name" in answer.out
    assert answer.err.count("left out: ") == 1
    assert "no.pth" in answer.err
    assert f"written to {tmp_path / 'out'}" in answer.err


def test_seeds_and_the_clicked_date_are_told(run: Run, data: Path, tmp_path: Path) -> None:
    words = "--seed", "3", "--click-on", "before", "--json"
    answer = run("bench", "clicks", "--data", data, "-o", tmp_path, *words)
    told = json.loads(answer.out)
    assert (told["asked"]["seed"], told["asked"]["clicked_date"]) == (3, "before")
    settings = told["settings"]["anychange-regions"]
    assert (settings["seed"], settings["clicked_date"]) == (3, "before")


def test_pairs_can_be_cut(run: Run, data: Path, tmp_path: Path) -> None:
    words = "--methods", "cva", "--crop", "24", "--json"
    answer = run("bench", "proposals", "--data", data, "-o", tmp_path, *words)
    assert json.loads(answer.out)["dataset"]["pairs"] == 8


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (["--methods", "magic"], 2, "unknown method 'magic'"),
        (["--limit", "0"], 2, "the limit is 0"),
        (["--device", "abacus"], 2, "device 'abacus' is not available"),
        (["--name", "levir"], 2, "unknown dataset 'levir'"),
        (["--split", "test"], 2, "no split 'test'"),
        (["--name", "second"], 1, "not laid out as second"),
    ],
)
def test_a_wrong_choice_is_one_line(
    run: Run, data: Path, tmp_path: Path, words: list[str], code: int, named: str
) -> None:
    answer = run("bench", "proposals", "--data", data, "-o", tmp_path / "out", *words)
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.startswith("error: ")
    assert named in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "out" / "results.json").exists()


def test_a_folder_that_is_a_file_is_refused(run: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    answer = run("bench", "clicks", "--data", data, "-o", tmp_path / "out")
    assert answer.code == 1
    assert answer.err.startswith("error: cannot write into the folder")


@pytest.mark.parametrize("table", COMMANDS)
def test_every_table_has_a_help(run: Run, table: str) -> None:
    answer = run("bench", table, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert f"Usage: terradelta bench {table} [OPTIONS]" in answer.out
    for option in ("--data", "--out", "--json", "--limit", "--model", "--device"):
        assert option in answer.out


def test_the_help_loads_nothing_heavy() -> None:
    heavy = ["torch", "numpy", "scipy", "rasterio", "jinja2", "sklearn"]
    program = (
        "import sys; from terradelta.cli import main; sys.argv = ['terradelta', 'bench', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == "[]\n"
    assert all(f" {table} " in done.stdout for table in COMMANDS)
