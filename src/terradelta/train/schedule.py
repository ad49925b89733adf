"""Optimisers by name, and the learning rate of a step: "poly" decay, with or without a warm-up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from terradelta.train.settings import OptimiserSettings


def poly(step: int, steps: int, power: float = 0.9, warmup: int = 0) -> float:
    """What share of the full learning rate the step ``step`` of ``steps``, counted from 0, has.

    ``(1 - t) ** power``, t growing from 0 towards 1; before that, ``warmup`` steps of even growth.
    """
    if step < warmup:
        return (step + 1) / warmup
    return float((1 - (step - warmup) / (steps - warmup)) ** power)


def make_optimiser(parameters: Iterable[nn.Parameter], settings: OptimiserSettings) -> Optimizer:
    """The optimiser that the settings name."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return OPTIMISERS[settings.name](trained, settings)


def set_learning_rate(optimiser: Any, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def _sgd(parameters: list[nn.Parameter], settings: OptimiserSettings) -> Optimizer:
    return SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def _adamw(parameters: list[nn.Parameter], settings: OptimiserSettings) -> Optimizer:
    return AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)


OPTIMISERS: dict[str, Callable[[list[nn.Parameter], OptimiserSettings], Optimizer]] = {
    "sgd": _sgd,
    "adamw": _adamw,
}
