"""Labels that come one after another; some cannot be had."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from terradelta.engine.curate import Curation
from terradelta.engine.labels import Label, LabelFolder, names_in
from terradelta.engine.writing import NOT_CLICKED, REPETITION, Item, hash_of, write_labels
from terradelta.errors import InputError, QueryError
from terradelta.types import silent

from .made import pair_of, squares


def item(name: str, count: int = 2, seed: int = 0) -> Item:
    pair = pair_of(seed, count)
    every = np.ones(pair.shape, bool)
    return Item(name, lambda: pair, lambda: Label(pair, squares(count), every, None, {}))


def failing(name: str, error: Exception) -> Item:
    def fail() -> Label:
        raise error

    return Item(name, lambda: pair_of(), fail)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[], LabelFolder]:
    return lambda: LabelFolder(tmp_path / "labels", {"of": "squares"})


def test_what_cannot_be_had_is_told_and_the_rest_is_written(
    folder: Callable[[], LabelFolder],
) -> None:
    unclicked = Item("c", pair_of, lambda: None)
    items = [item("a"), failing("b", QueryError("no object")), unclicked, item("d", 0)]
    made = write_labels(folder(), items, Curation(), silent)
    assert len(made) == 2
    assert names_in(made.folder) == ["a", "d"]
    assert made.summary["failed"] == {"b": "no object"}
    assert made.summary["dropped"] == {NOT_CLICKED: 1}
    assert made.summary["without_change"] == 1


def test_what_is_there_is_not_made_again_and_what_failed_is(
    folder: Callable[[], LabelFolder],
) -> None:
    write_labels(folder(), [item("a"), failing("b", InputError("cut off"))], Curation(), silent)
    again = [failing("a", AssertionError("it is there")), item("b")]
    made = write_labels(folder(), again, Curation(), silent)
    assert len(made) == 2
    assert made.summary["failed"] == {}


def test_if_all_fail_the_first_reason_is_told(folder: Callable[[], LabelFolder]) -> None:
    with pytest.raises(InputError, match="no pair could be labelled; the first: cut off"):
        write_labels(folder(), [failing("a", InputError("cut off"))], Curation(), silent)


def test_a_pair_that_repeats_another_is_not_asked_about(
    folder: Callable[[], LabelFolder],
) -> None:
    twin = Item("b", lambda: pair_of(0, 2), failing("b", AssertionError("asked")).label)
    made = write_labels(
        folder(), [item("a"), twin, item("c", seed=5)], Curation(alike=0.99), silent
    )
    assert made.summary["dropped"] == {REPETITION: 1}
    assert names_in(made.folder) == ["a", "c"]


def test_lists_of_names_are_told_apart() -> None:
    assert hash_of(["a", "b"]) == hash_of(["a", "b"])
    assert hash_of(["a", "b"]) != hash_of(["b", "a"])
    assert hash_of(["ab"]) != hash_of(["a", "b"])
