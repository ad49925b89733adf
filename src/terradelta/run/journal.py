"""The journal of a run: one line for every tile that is done, never rewritten."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from terradelta.errors import OutputError

try:
    import fcntl
except ImportError:  # not on Windows, where two runs in one folder go unnoticed
    fcntl = None  # type: ignore[assignment]


class Journal:
    """``entries``: what earlier runs wrote, oldest first; see `open_journal`."""

    def __init__(self, file: BinaryIO, path: Path, entries: list[dict[str, Any]]) -> None:
        self._file, self._path = file, path
        self.entries = entries

    def append(self, entry: dict[str, Any]) -> None:
        """Write one line that outlives a crash of the machine once this returns.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from error
        self.entries.append(entry)


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal at ``path``, open for this process alone; a torn last line is cut off.

    Raises:
        OutputError: it cannot be written, or another process has it open.
    """
    try:
        file = path.open("a+b")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        _lock(file, path)
        yield Journal(file, path, _whole_lines(file))
    finally:
        with suppress(OSError):  # a full disk: the line that could not be written was told
            file.close()


def _lock(file: BinaryIO, path: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"another run is at work in {path.parent.parent}: wait for it, or give another folder"
        ) from error
    except OSError:  # a file system without locks
        return


def _whole_lines(file: BinaryIO) -> list[dict[str, Any]]:
    file.seek(0)
    content = file.read()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        file.truncate(whole)
    return [json.loads(line) for line in content[:whole].splitlines()]
