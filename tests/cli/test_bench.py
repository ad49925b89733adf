import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from terradelta.bench import peers

Run = Callable[..., Any]
TINY = ("--size", "tiny", "--points", "8", "--repeats", "1")


def test_json_is_the_record_in_the_file(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("torchange.models.segment_any_change")
    answer = run("bench", "speed", *TINY, "--against", "torchange", "-o", tmp_path, "--json")
    assert answer.code == 0
    printed = json.loads(answer.out)
    (path,) = tmp_path.iterdir()
    assert path.name == "speed-torchange-tiny-8-cpu-float32.json"
    assert json.loads(path.read_text()) == printed
    assert printed["speedup"] > 0
    assert set(printed["speedup_by_stage"]) == {"encode", "propose", "match"}
    assert printed["scaled"].startswith("nothing")


def test_a_table_is_printed_and_images_can_be_given(
    run: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("segment_anything")
    words = ("--against", "transformers", "-o", tmp_path / "new" / "folder")
    answer = run("bench", "speed", *pair, *TINY, *words)
    assert answer.code == 0
    headings, *rows = answer.out.splitlines()
    assert headings.split() == ["seconds", "terradelta", "transformers", "ratio", "min", "max"]
    assert [row.split("  ")[0] for row in rows[:4]] == ["encode", "propose", "match", "end to end"]
    for name in ("agreement", "memory", "thresholds", "weights", "scaled"):
        assert any(row.startswith(name) for row in rows)
    path = tmp_path / "new" / "folder" / "speed-transformers-tiny-8-cpu-float32.json"
    assert f"written to {path}" in answer.err
    assert json.loads(path.read_text())["images"] == ["before.tif", "after.tif"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--points", "0"], "points is 0"),
        (["--repeats", "0"], "repeats is 0"),
        (["--peer-batches", "-1"], "peer-batches is -1"),
        (["before.tif"], "give both images"),
        (["--device", "abacus"], "unknown device 'abacus'"),
        (["--model", "regions"], "not 'regions'"),
    ],
)
def test_a_wrong_choice_is_exit_code_2(
    run: Run, tmp_path: Path, words: list[str], named: str
) -> None:
    answer = run("bench", "speed", *words, "-o", tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert named in answer.err
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_peer_says_what_to_install(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("segment_anything")
    monkeypatch.setattr(peers.Torchange, "home", "torchange_that_is_not_here")
    answer = run("bench", "speed", *TINY, "-o", tmp_path)
    assert (answer.code, answer.out) == (1, "")
    assert 'pip install "terradelta[bench]"' in answer.err
    assert list(tmp_path.iterdir()) == []
