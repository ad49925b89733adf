"""How large detectors are and how much they compute, beside what was published.

Counted are multiply-adds of one pair, as the papers count ("FLOPs" there, half of torch's): those of
convolutions, matrix products and attention. Nothing else is: no normalisation, activation or resampling.

The published counts of FC-EF, FC-Siam and SNUNet are 10 to 20 % larger: they take a transposed
convolution of stride 2 as if it ran at the size of its output, four times what it costs.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from terradelta.detectors.detector import Detector
from terradelta.detectors.registry import DETECTORS, Card, build_detector

SIDE = 512
"""px, where nothing was published."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One detector as built: ``parameters``, and ``flops`` on a pair of ``side`` px, beside its card."""

    name: str
    card: Card
    parameters: int
    flops: int
    side: int

    @property
    def excess(self) -> float | None:
        """By which part of the published parameters, without the idle ones, the network is larger."""
        if self.card.parameters is None:
            return None
        return self.parameters / (1e6 * (self.card.parameters - self.card.idle)) - 1


def parameters(detector: Detector) -> int:
    """How many numbers training changes."""
    return sum(weight.numel() for weight in detector.parameters() if weight.requires_grad)


def flops(detector: Detector, side: int = SIDE) -> int:
    """Multiply-adds of one pair of ``side`` x ``side`` px, in evaluation; nothing is computed."""
    shadow = deepcopy(detector).to("meta").eval()
    image = torch.empty(1, 3, side, side, device="meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        shadow(image, image)
    return int(counter.get_total_flops()) // 2


def profile_all() -> list[Profile]:
    """Every detector of `DETECTORS` with its own settings, on the size of its published count."""
    return [profile(name, card) for name, card in DETECTORS.items()]


def profile(name: str, card: Card) -> Profile:
    detector, side = build_detector(name), card.side or SIDE
    return Profile(name, card, parameters(detector), flops(detector, side), side)
