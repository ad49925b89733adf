import pytest

from terradelta.bench.cases import Choice
from terradelta.bench.methods import METHODS
from terradelta.bench.paper import paper_rows
from terradelta.bench.tables import TABLES, Table


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_rows_have_keys_of_their_own_for_several_segmenters(table: Table) -> None:
    choice = Choice(table.methods, ("regions", "sam-vit-b", "a/sam.pth", "b/sam.pth"))
    for dataset in ("folder", "second", "xview2"):
        cases = table.cases(choice, dataset)
        names = [case.name for case in cases]
        keys = [row.key for case in cases for row in case.rows]
        assert len(set(names)) == len(names)
        assert len(set(keys)) == len(keys) >= 4


@pytest.mark.parametrize("name", ["directions", "radiation", "clicks"])
def test_conditions_are_those_of_the_paper(name: str) -> None:
    cases = TABLES[name].cases(Choice(("anychange",)), "xview2")
    conditions = [row.condition for case in cases for row in case.rows]
    assert conditions == [line.row.condition for line in paper_rows(name, "xview2")]


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_metrics_that_the_paper_prints_too(name: str) -> None:
    columns = TABLES[name].columns
    for line in paper_rows(name, "levir-cd"):
        assert set(line.metrics) <= set(columns)


def test_every_method_is_proposed_and_matching_of_masks_is_not_table_6() -> None:
    assert TABLES["proposals"].methods == METHODS
    left = set(METHODS) - set(TABLES["unsupervised"].methods)
    assert left == {"sam-mask-match", "sam-cva-match"}
