import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terradelta.synth import write_made_dataset

Run = Callable[..., Any]


def test_the_pairs_are_those_of_the_library_and_more_can_be_added(run: Run, tmp_path: Path) -> None:
    words = "synth", "scenes", "--size", "48", "--seed", "5", "-o", tmp_path / "a"
    assert run(*words, "-n", "1").code == 0
    first = (tmp_path / "a" / "label" / "5-00000.png").stat().st_mtime_ns
    answer = run(*words, "-n", "2")
    assert (answer.code, answer.err) == (0, "")
    assert (tmp_path / "a" / "label" / "5-00000.png").stat().st_mtime_ns == first
    write_made_dataset(tmp_path / "b", 2, size=48, seed=5)
    for file in sorted((tmp_path / "b").rglob("*.png")):
        other = tmp_path / "a" / file.relative_to(tmp_path / "b")
        assert file.read_bytes() == other.read_bytes()
    truths = [np.asarray(Image.open(path)) > 0 for path in (tmp_path / "a" / "label").iterdir()]
    unchanged = sum(not truth.any() for truth in truths)
    assert answer.out.splitlines() == [
        f"pairs     2 of 48 x 48 px in {tmp_path / 'a'}: A, B, label",
        f"changed   {np.mean(truths):.1%} of the area, {unchanged} pairs without change",
    ]


def test_json_tells_the_same(run: Run, tmp_path: Path) -> None:
    answer = run("synth", "scenes", "-n", "1", "--size", "48", "-o", tmp_path, "--json")
    printed = json.loads(answer.out)
    truth = np.asarray(Image.open(tmp_path / "label" / "0-00000.png")) > 0
    assert printed == {
        "folder": str(tmp_path),
        "pairs": 1,
        "changed_fraction": truth.mean(),
        "pairs_without_change": int(not truth.any()),
    }


@pytest.mark.parametrize(
    ("words", "named"),
    [(["-n", "0"], "0 pairs"), (["--size", "4"], "4"), (["--resolution", "9"], "9")],
)
def test_wrong_use_is_exit_code_2_and_one_line(
    run: Run, tmp_path: Path, words: list[str], named: str
) -> None:
    answer = run("synth", "scenes", "-o", tmp_path / "out", *words)
    assert (answer.code, answer.out) == (2, "")
    assert named in answer.err
    assert answer.err.count("\n") == 1
