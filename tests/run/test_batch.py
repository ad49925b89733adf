import csv
from pathlib import Path
from typing import Any

import pytest

from terradelta.errors import InputError
from terradelta.run.batch import COLUMNS, detect_pairs
from terradelta.types import silent

RECORD = {"changes": 3, "changed_fraction": 0.25, "threshold_deg": 23.0, "more": "not told"}


class Work:
    """Remembers what it was called with; fails for a pair whose before is bad.tif."""

    def __init__(self) -> None:
        self.calls: list[tuple[Path, Path, Path]] = []

    def __call__(self, before: Path, after: Path, folder: Path, progress: Any) -> Any:
        self.calls.append((before, after, folder))
        if before.name == "bad.tif":
            raise InputError("bad.tif is no image")
        return RECORD, [], ""


def written(out: Path) -> list[dict[str, str]]:
    with (out / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_pair_that_fails_does_not_stop_the_rest(tmp_path: Path) -> None:
    table, out, work = tmp_path / "lists" / "pairs.csv", tmp_path / "out", Work()
    table.parent.mkdir()
    table.write_text(
        "before,after,name\na.tif,b.tif,north\nbad.tif,b.tif,\nsub/c.tif,/d.tif,south\n"
    )
    rows = detect_pairs(table, out, work, silent)
    here = table.parent
    assert work.calls == [
        (here / "a.tif", here / "b.tif", out / "north"),
        (here / "bad.tif", here / "b.tif", out / "2"),
        (here / "sub" / "c.tif", Path("/d.tif"), out / "south"),
    ]
    assert [row["error"] for row in rows] == ["", "bad.tif is no image", ""]
    told = written(out)
    assert tuple(told[0]) == COLUMNS
    assert [row["changes"] for row in told] == ["3", "", "3"]
    assert told[1]["error"] == "bad.tif is no image"


def test_the_summary_tells_of_what_is_done_so_far(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("before,after\na,b\nc,d\n")

    class Stops(Work):
        def __call__(self, *arguments: Any) -> Any:
            if self.calls:
                raise KeyboardInterrupt
            return super().__call__(*arguments)

    with pytest.raises(KeyboardInterrupt):
        detect_pairs(tmp_path / "pairs.csv", tmp_path / "out", Stops(), silent)
    assert [row["name"] for row in written(tmp_path / "out")] == ["1"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "needs the columns before and after"),
        ("before,after\n", "a row for every pair"),
        ("first,second\na,b\n", "needs the columns"),
        ("before,after\na,\n", "pair 1 lacks an image"),
        ("before,after,name\na,b,x\nc,d,x\n", "two pairs have the name 'x'"),
        ("before,after,name\na,b,../x\n", "cannot be the name of a folder"),
        ("before,after,name\na,b,..\n", "cannot be the name of a folder"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=named):
        detect_pairs(tmp_path / "pairs.csv", tmp_path / "out", Work(), silent)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.csv cannot be read"):
        detect_pairs(tmp_path / "none.csv", tmp_path / "out", Work(), silent)
