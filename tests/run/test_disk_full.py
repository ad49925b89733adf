"""The disk fills up in the middle of a run: in the tiles, in the journal, in finishing.

To a program a file that may not grow any further looks like a full disk; libtiff says a line of its own
about it.
"""

import json
import re
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from terradelta import cli
from terradelta.errors import OutputError
from terradelta.run import SceneResult, finish
from terradelta.run import scene as scene_module
from terradelta.run.journal import Journal

from .conftest import TILE_COUNT, TILES
from .same import assert_same_results

Paths = tuple[Path, Path]
Command = Callable[..., tuple[int, str]]
GO_ON = (
    " (what is done is kept: if the disk is full make room, "
    "then give the same command again to go on)"
)


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        fill(size)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def words(pair: Paths, out: Path, *more: str) -> list[str]:
    return ["detect", *map(str, pair), "-o", str(out), "--tile", str(TILES["tile"]), *more]


def the_one_error(told: str) -> str:
    """The line that tells of the error; what else there is are lines of progress and of libtiff."""
    errors = [line for line in told.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in told
    assert len(errors) == 1, told
    return errors[0]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs ``terradelta`` in this process: its exit code and what it told on standard error."""

    def run(*given: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["terradelta", *given])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert isinstance(stop.value.code, int)
        return stop.value.code, capfd.readouterr().err

    return run


@pytest.fixture
def begun(whole: SceneResult, tmp_path: Path) -> Path:
    """A run that was interrupted after all tiles but three; there are no outputs yet."""
    out = tmp_path / "out"
    shutil.copytree(whole.files[0].parent / ".run", out / ".run")
    lines = journal(out)
    (out / ".run" / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines[:-3]))
    for line in lines[-3:]:
        row, column = json.loads(line)["tile"]
        (out / ".run" / "parts" / f"{row}_{column}.npz").unlink()
    return out


def journal(out: Path) -> list[str]:
    return (out / ".run" / "journal.jsonl").read_text().splitlines()


def contents(out: Path) -> dict[str, bytes]:
    """Every file of a folder, those of the run included."""
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


FILLING = """
import resource, sys
from terradelta.cli import main
from terradelta.run import scene
look, seen = scene.examine, []
def examine(*arguments):
    seen.append(arguments)
    if len(seen) == 2:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    return look(*arguments)
scene.examine = examine
main()
"""


def test_in_the_tiles_what_is_done_is_kept_and_the_same_command_goes_on(
    pair: Paths, begun: Path, whole: SceneResult, command: Command
) -> None:
    given, before = words(pair, begun), journal(begun)
    ended = subprocess.run(
        [sys.executable, "-c", FILLING, *given], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stderr
    pattern = rf"error: cannot write {re.escape(str(begun))}/\.run/parts/-?\d+_\d+\.npz: .*"
    told = the_one_error(ended.stderr)
    assert re.fullmatch(pattern + re.escape(GO_ON), told), told
    assert ended.stdout == ""
    done = journal(begun)
    assert done[:-1] == before
    assert [path.name for path in begun.iterdir()] == [".run"]
    assert len(list((begun / ".run" / "parts").iterdir())) == len(done) == TILE_COUNT - 2
    code, told = command(*given)
    assert code == 0, told
    assert journal(begun)[: len(done)] == done
    assert len({*journal(begun)}) == len(journal(begun)) == TILE_COUNT
    assert_same_results(begun, whole.files[0].parent)


def test_a_line_of_the_journal_that_does_not_fit_is_written_again(
    pair: Paths,
    begun: Path,
    whole: SceneResult,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The part still fitted; of its line there is room for seven bytes."""
    append, before = Journal.append, (begun / ".run" / "journal.jsonl").read_bytes()

    def append_to_the_last_block(self: Journal, entry: dict[str, Any]) -> None:
        fill(len(before) + 7)
        append(self, entry)

    monkeypatch.setattr(Journal, "append", append_to_the_last_block)
    with files_no_larger_than(resource.RLIM_INFINITY):
        code, told = command(*words(pair, begun))
    assert code == 1
    path = begun / ".run" / "journal.jsonl"
    assert the_one_error(told) == f"error: cannot write {path}: File too large{GO_ON}"
    assert path.read_bytes() == before + b'{"tile"'
    monkeypatch.setattr(Journal, "append", append)
    assert command(*words(pair, begun))[0] == 0
    tiles = [tuple(json.loads(line)["tile"]) for line in journal(begun)]
    assert len(set(tiles)) == len(tiles) == TILE_COUNT
    assert_same_results(begun, whole.files[0].parent)


def test_the_thread_that_reads_ahead_ends_with_the_run(
    pair: Paths, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left to the garbage collector it could wait for ever for a pool that is gone."""

    def full(part: Any, folder: Path) -> int:
        raise OutputError(f"cannot write {folder}")

    monkeypatch.setattr(scene_module, "save_part", full)
    before = set(threading.enumerate())
    with pytest.raises(OutputError) as kept:
        scene_module.detect_scene(*pair, begun, **TILES)
    assert set(threading.enumerate()) <= before
    assert str(kept.value).endswith(GO_ON)


@pytest.fixture(scope="module")
def strict(pair: Paths, whole: SceneResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an uninterrupted run with another threshold writes."""
    out = tmp_path_factory.mktemp("strict")
    shutil.copytree(whole.files[0].parent, out, dirs_exist_ok=True)
    scene_module.detect_scene(*pair, out, angle=40, **TILES)
    return out


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (3_000, "outlines.wkb"),
        (60_000, "changes.gpkg"),
        (150_000, "overlay.png"),  # the objects are whole by then
        (300_000, "score.tif"),  # and the picture
    ],
)
def test_in_finishing_the_results_of_an_earlier_run_stay(
    pair: Paths,
    whole: SceneResult,
    strict: Path,
    tmp_path: Path,
    command: Command,
    size: int,
    name: str,
) -> None:
    """A second run, with another threshold, in a folder that holds a finished one."""
    out = tmp_path / "out"
    shutil.copytree(whole.files[0].parent, out)
    before, given = contents(out), words(pair, out, "--angle", "40")
    with files_no_larger_than(size):
        code, told = command(*given)
    assert code == 1
    pattern = rf"error: cannot write {re.escape(str(out))}/\.run/\w+/{name}: .*"
    assert re.fullmatch(pattern + re.escape(GO_ON), the_one_error(told)), told
    assert contents(out) == before
    assert command(*given)[0] == 0
    assert_same_results(out, strict)
    assert json.loads((out / "run.json").read_text())["asked"] == {"angle": 40}


def test_a_disk_that_fills_up_between_two_tiles_of_finishing_is_told(
    pair: Paths, whole: SceneResult, tmp_path: Path, command: Command, monkeypatch: Any
) -> None:
    out, write, seen = tmp_path / "out", finish._write_core, []
    shutil.copytree(whole.files[0].parent, out)
    before = contents(out)

    def full_from_the_third(*given: Any) -> Any:
        seen.append(given)
        if len(seen) == 3:
            fill(2_000)
        return write(*given)

    monkeypatch.setattr(finish, "_write_core", full_from_the_third)
    with files_no_larger_than(resource.RLIM_INFINITY):
        code, told = command(*words(pair, out))
    assert code == 1
    assert the_one_error(told).endswith(GO_ON)
    assert contents(out) == before
