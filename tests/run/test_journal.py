import subprocess
import sys
from pathlib import Path

import pytest

from terradelta.errors import OutputError
from terradelta.run.journal import open_journal


def test_entries_come_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with open_journal(path) as journal:
        assert journal.entries == []
        journal.append({"tile": [1, 2]})
        journal.append({"tile": [-3, 4]})
    with open_journal(path) as journal:
        assert journal.entries == [{"tile": [1, 2]}, {"tile": [-3, 4]}]


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_torn_last_line_is_cut_off_and_written_over(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    with open_journal(path) as journal:
        journal.append({"tile": [1, 2]})
        journal.append({"tile": [3, 4]})
    path.write_bytes(path.read_bytes()[:-cut])
    with open_journal(path) as journal:
        assert journal.entries == [{"tile": [1, 2]}]
        journal.append({"tile": [5, 6]})
    with open_journal(path) as journal:
        assert journal.entries == [{"tile": [1, 2]}, {"tile": [5, 6]}]


def test_a_line_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with open_journal(path) as journal:
        journal.append({"a": 1})
        assert path.read_bytes() == b'{"a":1}\n'


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "out" / ".run" / "journal.jsonl"
    path.parent.mkdir(parents=True)
    code = (
        "import sys; from pathlib import Path; from terradelta.run.journal import open_journal\n"
        "with open_journal(Path(sys.argv[1])): pass"
    )
    with open_journal(path):
        other = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
        assert "another run is at work in" in other.stderr
        assert str(tmp_path / "out") in other.stderr
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == 0


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"), open_journal(tmp_path / "no" / "j"):
        pass
