import pickle

import pytest

from terradelta import errors
from terradelta.errors import (
    InputError,
    ModelError,
    OutputError,
    QueryError,
    TerradeltaError,
    UsageError,
)

KINDS = [InputError, ModelError, OutputError, QueryError, UsageError]


def test_the_tree_holds_every_error_of_the_module() -> None:
    defined = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    assert defined == {TerradeltaError, *KINDS}
    assert all(issubclass(kind, TerradeltaError) for kind in defined)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_caught_by_its_base_and_keeps_its_message(
    kind: type[TerradeltaError],
) -> None:
    with pytest.raises(TerradeltaError, match=r"^what is wrong$") as caught:
        raise kind("what is wrong")
    assert str(pickle.loads(pickle.dumps(caught.value))) == "what is wrong"  # noqa: S301


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (InputError, ValueError),
        (QueryError, ValueError),
        (UsageError, ValueError),
        (OutputError, OSError),
        (ModelError, TerradeltaError),
    ],
)
def test_errors_are_also_what_python_would_raise(
    kind: type[TerradeltaError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin):
        raise kind("what is wrong")


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_use_exits_with_2_and_failed_work_with_1(kind: type[TerradeltaError]) -> None:
    assert kind("what is wrong").exit_code == (2 if kind is UsageError else 1)


def test_no_error_is_a_kind_of_another() -> None:
    for kind in KINDS:
        assert [other for other in KINDS if issubclass(kind, other)] == [kind]
