import pytest

from terradelta.bench.paper import paper_rows

TABLES = {
    "proposals": {"levir-cd": 14, "s2looking": 14, "xview2": 14, "second": 14},
    "directions": {"levir-cd": 3, "s2looking": 3, "xview2": 3, "second": 3},
    "radiation": {"levir-cd": 2, "s2looking": 2, "xview2": 2, "second": 2},
    "clicks": {"levir-cd": 3, "s2looking": 3, "xview2": 3, "second": 0},
    "unsupervised": {"levir-cd": 0, "s2looking": 0, "xview2": 0, "second": 13},
    "latent": {"levir-cd": 0, "second": 0},
}
CASES = [(table, name, count) for table, sets in TABLES.items() for name, count in sets.items()]

SLIPS = {
    ("proposals", "xview2", "SAM+Mask Match, ViT-B"),
    ("clicks", "s2looking", "AnyChange, ViT-H, one click"),
}
"""Lines of the paper whose F1 is not that of their precision and recall."""


@pytest.mark.parametrize(("table", "dataset", "count"), CASES)
def test_every_line_is_there(table: str, dataset: str, count: int) -> None:
    assert len(paper_rows(table, dataset)) == count


def test_other_datasets_have_none() -> None:
    assert paper_rows("proposals", "folder") == []
    assert paper_rows("proposals", "dsifn") == []


@pytest.mark.parametrize(("table", "dataset", "count"), CASES)
def test_f1_is_that_of_precision_and_recall(table: str, dataset: str, count: int) -> None:
    for line in paper_rows(table, dataset):
        f1, precision, recall = (line.metrics[name] for name in ("f1", "precision", "recall"))
        # Each figure is rounded to a tenth of a percent.
        low, high = (
            2 * (precision + r) * (recall + r) / (precision + recall + 2 * r) for r in (-5e-4, 5e-4)
        )
        agrees = low - 5.1e-4 <= f1 <= high + 5.1e-4
        assert agrees != ((table, dataset, line.row.title) in SLIPS), line


def test_figures_that_are_known() -> None:
    by_name = {
        (line.row.method, line.row.backbone): line.metrics
        for line in paper_rows("proposals", "levir-cd")
    }
    assert by_name["AnyChange", "ViT-B"] == pytest.approx(
        {"f1": 0.234, "precision": 0.137, "recall": 0.830, "ar@1000": 0.326}
    )
    assert "ar@1000" not in by_name["CVA", ""]
    clicks = {line.row.condition: line.metrics["f1"] for line in paper_rows("clicks", "xview2")}
    assert clicks == pytest.approx({"no click": 0.094, "one click": 0.251, "three clicks": 0.281})
