import time

import numpy as np
import pytest
import torch

from terradelta.bench.clock import Seconds, Stopwatch, measured_peak
from terradelta.sam.allocator import give_back_freed_memory

CPU = torch.device("cpu")


def test_end_to_end_is_the_sum_of_the_stages() -> None:
    seconds = Seconds(1.0, 2.5, 0.5)
    assert seconds.total == 4.0
    assert seconds.as_dict() == {"encode": 1.0, "propose": 2.5, "match": 0.5, "total": 4.0}


def test_a_stopwatch_adds_up_calls_by_name_and_passes_results_on() -> None:
    watch = Stopwatch(CPU)
    slow = watch.timed("slow", lambda seconds, *, answer: time.sleep(seconds) or answer)
    assert [slow(0.01, answer=n) for n in (1, 2)] == [1, 2]
    assert list(watch.seconds) == ["slow"]
    assert watch.seconds["slow"] >= 0.02


def test_the_peak_holds_memory_that_is_already_gone() -> None:
    give_back_freed_memory()  # or the block may come from what other tests have freed
    with measured_peak(CPU) as before:
        pass
    with measured_peak(CPU) as peak:
        block = np.ones(1 << 25)  # 256 MB
        time.sleep(0.05)
        del block
    if before.bytes is None or peak.bytes is None:
        pytest.skip("not measured on this system")
    assert peak.bytes - before.bytes > 200 << 20
