import threading
from operator import add

import pytest

from terradelta.sam.threads import in_threads


def test_results_are_those_of_map_in_order() -> None:
    assert in_threads(add, (1, 2, 3), [10, 20, 30]) == [11, 22, 33]
    assert in_threads(str, [7]) == ["7"]


def test_two_calls_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)
    assert sorted(in_threads(lambda _: both.wait(), "ab")) == [0, 1]


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_is_raised_when_all_have_ended(bad: int) -> None:
    ended = []

    def call(number: int) -> None:
        if number == bad:
            raise ValueError(number)
        ended.append(number)

    with pytest.raises(ValueError, match=str(bad)):
        in_threads(call, range(2))
    assert ended == [1 - bad]


def test_arguments_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        in_threads(add, (1, 2), (1,))
