from pathlib import Path

import pytest
import torch
from torch import nn

from terradelta.baselines.learning import (
    check_counts,
    load_weights,
    minimise,
    save_weights,
    seeded,
)
from terradelta.errors import ModelError, OutputError, UsageError


def test_a_seed_decides_weights_and_nothing_else() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with seeded(7):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(7):
        assert torch.equal(torch.rand(2), inside)


def test_steps_go_down_the_loss_and_are_told() -> None:
    """Of (x - 3)^2, from 0, each step of rate 0.1 leaves 0.8 of the way."""
    x = torch.zeros(1, requires_grad=True)
    told: list[tuple[str, int, int]] = []
    minimise(
        lambda: ((x - 3) ** 2).sum(),
        torch.optim.SGD([x], lr=0.1),
        2,
        lambda *step: told.append(step),
    )
    torch.testing.assert_close(x.detach(), torch.tensor([3 * (1 - 0.8**2)]))
    assert told == [("training", 0, 2), ("training", 1, 2), ("training", 2, 2)]


def test_weights_come_back_and_only_for_what_they_are_of(tmp_path: Path) -> None:
    path, line = tmp_path / "line.safetensors", nn.Linear(2, 2)
    save_weights(path, line, {"model": "line"})
    other = nn.Linear(2, 2)
    load_weights(path, other, {"model": "line"})
    assert torch.equal(other.weight, line.weight)
    with pytest.raises(ModelError, match=r"holds weights of \{'model': 'line'\}, not of"):
        load_weights(path, other, {"model": "curve"})
    with pytest.raises(ModelError, match="do not fit"):
        load_weights(path, nn.Linear(3, 2), {"model": "line"})
    with pytest.raises(OutputError):
        save_weights(path / "below" / "a-file", line, {})


@pytest.mark.parametrize("count", [0, -1, 1.5])
def test_counts_are_whole_and_at_least_one(count: float) -> None:
    check_counts(steps=1)
    with pytest.raises(UsageError, match=f"steps is {count}: it must be a whole number"):
        check_counts(steps=count)  # type: ignore[arg-type]
