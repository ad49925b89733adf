import pytest
import torch

from terradelta.errors import UsageError
from terradelta.sam.device import usable_device


def test_the_cpu_is_always_there() -> None:
    assert usable_device("cpu") == torch.device("cpu")
    assert usable_device(torch.device("cpu")).type == "cpu"


@pytest.mark.parametrize("name", ["cuda:999", "abacus"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' is not available on this machine"):
        usable_device(name)
