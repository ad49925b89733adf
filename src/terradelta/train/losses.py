"""Losses: how far logits are from a label, as one number.

Binary cross-entropy with label smoothing is the loss of AnyChange's pseudo-label training (section 4.3,
appendix C.2: smoothing 0.4), with soft dice that of its oracle (appendix C.1).

Pixels whose label is `IGNORED` count nowhere. Sums and counts are those of the whole batch, also where
several processes share it: then the mean of their gradients is the gradient of one process with all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist
from torch.nn import functional

from terradelta.detectors.detector import Criterion

IGNORED = 255
"""The value of a label, of classes or in [0, 1], where nobody knows."""


def criterion(terms: Sequence[str], smoothing: float = 0.0) -> Criterion | None:
    """The sum of some of `LOSSES`; None for ``own``, the detector's own."""
    if "own" in terms:
        return None
    chosen = [LOSSES[term] for term in terms]

    def loss(logits: Tensor, label: Tensor) -> Tensor:
        return torch.stack([term(logits, label, smoothing) for term in chosen]).sum()

    return loss


def bce(logits: Tensor, label: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean binary cross-entropy.

    Args:
        logits: float [B, 1, H, W].
        label: [B, H, W] in [0, 1], soft if it lies between, or `IGNORED`.
        smoothing: s, by which a label y becomes y (1 - s) + s / 2.
    """
    known = label != IGNORED
    target = label.float().clamp(max=1) * (1 - smoothing) + smoothing / 2
    cost = functional.binary_cross_entropy_with_logits(
        logits[:, 0].float(), target, reduction="none"
    )
    return _mean(cost, known)


def dice(logits: Tensor, label: Tensor, smoothing: float = 0.0) -> Tensor:
    """Soft dice loss, ``1 - (2 |PY| + 1) / (|P| + |Y| + 1)``, over all pixels of the batch together.

    Over the batch, as in the authors' release: an image without change would else give a loss near 1
    unless every one of its pixels is perfect. ``smoothing`` leaves it as it is: the overlap is with the
    label itself. Arguments as for `bce`.
    """
    known = label != IGNORED
    chance = logits[:, 0].float().sigmoid() * known
    target = label.float().clamp(max=1) * known
    sums = torch.stack([(chance * target).sum(), chance.sum(), target.sum()])
    both, answered, true = _over_processes(sums)
    overlap: Tensor = (2 * both + 1) / (answered + true + 1)
    return 1 - overlap


def cross_entropy(logits: Tensor, label: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over K classes.

    Args:
        logits: float [B, K, H, W].
        label: class ids [B, H, W], or `IGNORED`.
        smoothing: s, the share of a label that is spread over all K classes.
    """
    classes = label.long()
    cost = functional.cross_entropy(
        logits.float(), classes, ignore_index=IGNORED, label_smoothing=smoothing, reduction="none"
    )
    return _mean(cost, classes != IGNORED)


LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "bce": bce,
    "dice": dice,
    "cross-entropy": cross_entropy,
}


def _mean(cost: Tensor, known: Tensor) -> Tensor:
    """The cost per known pixel; several processes divide by the mean of their numbers of pixels."""
    count = _over_processes(known.sum().float()) / _processes()
    return (cost * known).sum() / count.clamp(min=1)


def _processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _over_processes(value: Tensor) -> Tensor:
    if _processes() == 1:
        return value
    total: Tensor = _Sum.apply(value)
    return total


class _Sum(torch.autograd.Function):
    """The sum over processes; each process's part has the gradient that all of them ask for."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
