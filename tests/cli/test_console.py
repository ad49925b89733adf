import io
import json
import sys

import pytest
from rich.console import Console

from terradelta.cli import console
from terradelta.cli.console import one_line_errors, print_json, progress
from terradelta.errors import (
    InputError,
    ModelError,
    OutputError,
    QueryError,
    TerradeltaError,
    UsageError,
)


@pytest.fixture(autouse=True)
def no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("wrong"), 2),
        (InputError("wrong"), 1),
        (ModelError("wrong"), 1),
        (QueryError("wrong"), 1),
        (OutputError("wrong"), 1),
        (TerradeltaError("wrong"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_one_line_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: TerradeltaError, code: int
) -> None:
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise error
    assert stop.value.code == code
    assert capsys.readouterr() == ("", "error: wrong\n")


def test_a_long_error_is_not_broken_into_lines(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a very long path " * 40
    with pytest.raises(SystemExit), one_line_errors():
        raise InputError(text)
    assert capsys.readouterr().err == f"error: {text}\n"


@pytest.mark.parametrize("name", ["[bold]a[/bold]", "[/red]", "a:smile:b", r"a\[b]"])
def test_names_in_an_error_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit), one_line_errors():
        raise InputError(f"{name} does not exist")
    assert capsys.readouterr().err == f"error: {name} does not exist\n"


def test_an_interruption_has_the_exit_code_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise KeyboardInterrupt
    assert stop.value.code == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_too_little_memory_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop, one_line_errors():
        raise MemoryError
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: not enough memory")
    assert error.count("\n") == 1


def test_other_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError), one_line_errors():
        _ = 1 / 0


def test_json_is_one_object_in_which_nan_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    nan = float("nan")
    print_json({"a": nan, "b": [1.5, nan, {"c": (nan, "nan", None, True)}]})
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out, parse_constant=pytest.fail) == {
        "a": None,
        "b": [1.5, None, {"c": [None, "nan", None, True]}],
    }


def test_off_a_terminal_progress_is_a_plain_line_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with progress() as report:
        report("encoding", 0, 2)
        report("matching", 1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(console, "SECONDS_PER_LINE", 0.0)
    with progress() as report:
        report("encoding", 0, 2)
        report("matching", 1, 2)
    assert capsys.readouterr() == ("", "encoding: 0 of 2\nmatching: 1 of 2\n")


def test_on_a_terminal_progress_is_a_bar_that_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=screen, force_terminal=True, width=80))
    with progress() as report:
        report("matching", 3, 7)
    drawn = screen.getvalue()
    assert "matching" in drawn
    assert "3/7" in drawn
    erase_line = "\x1b[2K"
    assert drawn.rstrip().endswith(erase_line)


def test_results_go_to_standard_output_and_errors_to_standard_error() -> None:
    assert console.out.file is sys.stdout
    assert console.err.file is sys.stderr
