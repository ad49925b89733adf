import csv
from pathlib import Path

import numpy as np
import pytest

from terradelta.errors import OutputError
from terradelta.metrics import ImageCounts, ObjectMatches, PixelCounts, write_per_image

from .boxes import FAR, SHAPE, SQUARE, dense, rles

NOTHING = np.zeros(SHAPE, bool)


def counted(name: str = "a") -> ImageCounts:
    """Two objects, of which one is found by four fifths."""
    found = (0, 0, 10, 8)
    return ImageCounts.of(name, dense(found), rles([found]), [0.5], dense(SQUARE) | dense(FAR))


def test_all_counts_of_an_image_come_from_one_answer() -> None:
    image = counted()
    assert image.pixels == PixelCounts(80, 0, 120, 40 * 60 - 200)
    assert image.objects == ObjectMatches(1, 1, 2)
    assert image.recall.as_dict()["ar@1000"] == pytest.approx(0.5 * 7 / 10)


def test_a_row_names_counts_and_metrics() -> None:
    row = counted("here").as_row()
    assert row["name"] == "here"
    assert (row["true_positive"], row["false_negative"]) == (80, 120)
    assert (row["recall"], row["object_recall"], row["truths"]) == (0.4, 0.5, 2)


def test_the_table_has_a_line_per_image_and_leaves_out_what_is_not_defined(tmp_path: Path) -> None:
    empty = ImageCounts.of("b, or not", NOTHING, [], [], NOTHING)
    path = tmp_path / "new" / "per_image.csv"
    write_per_image(path, [counted(), empty])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["a", "b, or not"]
    assert list(rows[0]) == list(counted().as_row())
    assert float(rows[0]["recall"]) == 0.4
    assert (rows[1]["recall"], rows[1]["ar@1000"], rows[1]["truths"]) == ("", "", "0")
    assert [file.name for file in path.parent.iterdir()] == ["per_image.csv"]


def test_a_table_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_per_image(tmp_path / "file" / "per_image.csv", [counted()])
