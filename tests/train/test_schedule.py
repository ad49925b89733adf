import pytest
import torch
from torch import nn

from terradelta.train.schedule import make_optimiser, poly, set_learning_rate
from terradelta.train.settings import OptimiserSettings


def test_poly_falls_from_one_towards_zero() -> None:
    assert poly(0, 20_000) == 1
    assert poly(10_000, 20_000) == pytest.approx(0.5**0.9)
    assert poly(19_999, 20_000) == pytest.approx((1 / 20_000) ** 0.9)


def test_the_warm_up_grows_evenly_to_the_full_rate() -> None:
    assert [poly(step, 104, 0.9, 4) for step in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert poly(54, 104, 0.9, 4) == pytest.approx(0.5**0.9)


def test_power_zero_is_a_constant_rate() -> None:
    assert {poly(step, 7, 0.0) for step in range(7)} == {1.0}


def test_sgd_steps_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    settings = OptimiserSettings(learning_rate=0.1, momentum=0.5, weight_decay=0.2)
    optimiser = make_optimiser([weight], settings)
    for _ in range(2):
        weight.grad = torch.tensor([1.0])
        optimiser.step()
    # v1 = 1 + 0.2 * 1 = 1.2, w1 = 0.88; v2 = 0.5 * 1.2 + 1 + 0.2 * 0.88 = 1.776, w2 = 0.7024
    assert weight.item() == pytest.approx(0.7024)


def test_adamw_decays_apart_from_the_gradient_and_frozen_weights_stay() -> None:
    weight, frozen = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1), requires_grad=False)
    settings = OptimiserSettings(name="adamw", learning_rate=0.01, weight_decay=0.5)
    optimiser = make_optimiser([weight, frozen], settings)
    set_learning_rate(optimiser, 0.1)
    weight.grad = torch.tensor([3.0])
    optimiser.step()
    # Decay by 0.1 * 0.5, then Adam's first step of the full rate.
    assert weight.item() == pytest.approx(1 - 0.05 - 0.1, abs=1e-6)
    assert frozen.item() == 1
