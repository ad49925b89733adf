import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from terradelta import __version__
from terradelta.cli import detect

COMMANDS = ["demo", "detect", "query", "check", "evaluate", "search", "train", "models"]
GROUPS = {"bench": ["speed"], "data": ["list", "verify"]}
HEAVY = {
    *("torch", "numpy", "scipy", "skimage", "PIL", "rasterio", "geopandas", "shapely"),
    *("transformers", "torchvision", "pycocotools", "pandas"),
}
Run = Callable[..., Any]


def fresh(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with the given arguments."""
    coloured = ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    plain = {name: value for name, value in os.environ.items() if name not in coloured}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=plain)


def test_the_help_lists_every_command(run: Run) -> None:
    answer = run("--help")
    assert (answer.code, answer.err) == (0, "")
    listed = answer.out.split("Commands")[1]
    for command in (*COMMANDS, *GROUPS):
        assert f" {command} " in listed


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_lists_its_commands_and_each_has_a_help(run: Run, group: str) -> None:
    listed = run(group, "--help").out
    for command in GROUPS[group]:
        assert f" {command} " in listed
        answer = run(group, command, "--help")
        assert (answer.code, answer.err) == (0, "")
        assert "--json" in answer.out


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help(run: Run, command: str, flag: str) -> None:
    answer = run(command, flag)
    assert (answer.code, answer.err) == (0, "")
    assert f"Usage: terradelta {command} [OPTIONS]" in answer.out
    assert "--json" in answer.out


def test_without_a_command_the_help_is_shown_as_wrong_use(run: Run) -> None:
    answer = run()
    assert answer.code == 2
    assert "Usage: terradelta" in answer.out + answer.err


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version") == (0, f"terradelta {__version__}\n", "")


def test_an_unknown_command_is_named(run: Run) -> None:
    answer = run("detekt")
    assert (answer.code, answer.out) == (2, "")
    assert "detekt" in answer.err
    assert "Traceback" not in answer.err


def test_the_help_of_every_command_loads_nothing_heavy() -> None:
    program = f"""
import sys
from terradelta.cli import main
for words in [["--help"], ["--version"], *([c, "--help"] for c in {COMMANDS})]:
    sys.argv = ["terradelta", *words]
    try:
        main()
    except SystemExit as stop:
        assert stop.code == 0
print("loaded:", *sorted({HEAVY} & set(sys.modules)), file=sys.stderr)
"""
    done = fresh("-c", program)
    assert done.stderr == "loaded:\n"
    assert done.stdout.count("Usage:") == 1 + len(COMMANDS)


def test_the_module_is_the_command() -> None:
    done = fresh("-m", "terradelta", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"terradelta {__version__}\n", "")


def test_a_fresh_process_reports_an_error_in_one_line(tmp_path: Path) -> None:
    missing = tmp_path / "missing.tif"
    done = fresh(
        "-m", "terradelta", "detect", str(missing), str(missing), "-o", str(tmp_path / "out")
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {missing} does not exist\n"


def test_an_interrupted_run_says_so_in_one_line_and_leaves_no_temporary_file(
    run: Run, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from terradelta.run import finish

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(finish, "write_quicklook", interrupted)
    answer = run("detect", *pair, "-o", tmp_path)
    told = "interrupted: nothing was left half-written; of a scene the tiles done are kept\n"
    assert answer == (130, "", told)
    hidden = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert hidden == [".run"]
    assert not (tmp_path / "overlay.png").exists()


def test_a_mistake_in_the_program_is_not_hidden(
    run: Run, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise AttributeError("a mistake")

    monkeypatch.setattr(detect, "announce", broken)
    with pytest.raises(AttributeError, match="a mistake"):
        run("detect", *pair, "-o", tmp_path)
