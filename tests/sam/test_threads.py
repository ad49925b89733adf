import threading
from operator import add

import pytest
import torch

from terradelta.sam.threads import in_threads, on_all_cores


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


def test_calls_on_all_cores_have_one_of_torchs_threads_each() -> None:
    cores = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = on_all_cores(lambda n: (n, torch.get_num_threads()), range(20))
        assert found == [(n, 1) for n in range(20)]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(cores)


def test_calls_run_on_as_many_cores_as_torch_uses() -> None:
    cores = torch.get_num_threads()
    torch.set_num_threads(2)
    both = threading.Barrier(2, timeout=30)
    try:
        assert sorted(on_all_cores(lambda _: both.wait(), "ab")) == [0, 1]
    finally:
        torch.set_num_threads(cores)


def test_an_error_on_a_core_is_raised_and_the_threads_are_given_back() -> None:
    cores = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        on_all_cores(lambda n: 1 // n, range(3))
    assert torch.get_num_threads() == cores


def test_nothing_to_do_is_done() -> None:
    assert on_all_cores(str, []) == []
