from typing import Any

import pytest

from terradelta.bench.text import aligned, cell, grid, left_out, markdown, notes


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {"value": value, "interval_95": [low, high]}


@pytest.fixture
def told() -> dict[str, Any]:
    """A record as `terradelta.bench.record` makes it, of two rows and a line of the paper."""
    name = {"method": "CVA", "backbone": "", "condition": ""}
    return {
        "title": "A table",
        "source": "a paper, table 1",
        "protocol": "As it was done.",
        "metrics": {"f1": "F1", "ar@1000": "mask AR@1000"},
        "methods": {"a|b": "a method (someone, 1999)"},
        "dataset": {
            "name": "levir-cd",
            "folder": "LEVIR",
            "split": "test",
            "pairs": 2,
            "pairs_in_all": 128,
        },
        "everything_is_change": {"share_of_pixels": 0.05, "f1": 0.0952},
        "rows": [
            {**name, "pairs": 2, "metrics": {"f1": estimate(0.352, 0.301, 0.41)}},
            {**name, "method": "a|b", "backbone": "x", "pairs": 0, "metrics": {}},
        ],
        "paper": [{**name, "metrics": {"f1": estimate(0.122)}}],
        "left_out": [
            {"case": "a", "pair": None, "reason": "no\nweights"},
            {"case": "cva", "pair": "p1", "reason": "broken"},
        ],
    }


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (estimate(0.3524, 0.301, 0.41), "35.2 [30.1, 41.0]"),
        (estimate(1.0), "100.0"),
        (estimate(0.0, 0.0, 0.0), "0.0 [0.0, 0.0]"),
        (estimate(None), "-"),
        (None, "-"),
    ],
)
def test_a_cell_is_in_percent_with_its_interval(given: Any, shown: str) -> None:
    assert cell(given) == shown


def test_names_that_no_line_has_make_no_column(told: dict[str, Any]) -> None:
    headings, cells = grid(told)
    assert headings == ["method", "backbone", "F1", "mask AR@1000", "pairs", "source"]
    assert cells == [
        ["CVA", "", "35.2 [30.1, 41.0]", "-", "2", "measured"],
        ["a|b", "x", "-", "-", "0", "left out"],
        ["CVA", "", "12.2", "-", "", "paper"],
    ]


def test_names_stand_left_and_numbers_right(told: dict[str, Any]) -> None:
    assert aligned(told) == [
        "method  backbone                 F1  mask AR@1000  pairs    source",
        "CVA               35.2 [30.1, 41.0]             -      2  measured",
        "a|b     x                         -             -      0  left out",
        "CVA                            12.2             -            paper",
    ]


def test_markdown_escapes_what_would_break_it(told: dict[str, Any]) -> None:
    text = markdown(told)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert "a\\|b" in text
    assert "- a\\|b: a method (someone, 1999)" in text
    assert "- a: no weights" in text
    assert "- cva, p1: broken" in text


def test_notes_say_what_was_measured_and_what_guessing_would_give(told: dict[str, Any]) -> None:
    data, protocol, naive, paper = notes(told)
    assert data == "Data: LEVIR (levir-cd, split test), 2 pairs of 128, the first by name."
    assert protocol == "As it was done."
    assert "5.0 % of the pixels" in naive
    assert "an F1 of 9.5" in naive
    assert "whole test split" in paper


def test_notes_leave_out_what_is_not_so(told: dict[str, Any]) -> None:
    told["dataset"] |= {"pairs": 128, "split": "all"}
    told["paper"], told["everything_is_change"]["f1"] = [], None
    assert notes(told) == ["Data: LEVIR (levir-cd), 128 pairs.", "As it was done."]


def test_what_was_left_out_is_a_line_each(told: dict[str, Any]) -> None:
    assert left_out(told) == ["a: no\nweights", "cva, p1: broken"]
