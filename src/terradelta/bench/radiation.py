"""Another light on one date (AnyChange, table 3): colour jitter of *after*, seeded.

The paper names neither the strength of its colour jitter nor the date. Here *after* is jittered, with the
strengths that MoCo v2 (Chen et al., 2020) made usual. Every pair is jittered in its own way, the same
whatever other pairs and methods there are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torchvision.transforms import v2

from terradelta.bench.cases import Case, Choice
from terradelta.bench.methods import method_cases
from terradelta.data.dataset import Sample
from terradelta.geo.pair import Pair
from terradelta.zeroshot.clicks import seed_of

JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
"""Factors are drawn from [1 - x, 1 + x], the turn of the hue from [-x, x] of the colour circle."""
CONDITIONS = ("as it is", "colour jitter")


def radiation_cases(choice: Choice, dataset: str) -> list[Case]:
    """The cases of `method_cases`, each on the dataset as it is and jittered."""
    plain, changed = CONDITIONS
    as_they_are = method_cases(choice, dataset, plain)
    in_other_light = method_cases(choice, dataset, changed, partial(jittered, choice.seed))
    return [case for both in zip(as_they_are, in_other_light, strict=True) for case in both]


def jittered(seed: int, sample: Sample) -> Sample:
    """The sample with another light on its later date."""
    return replace(sample, pair=lambda: _jitter(sample.pair(), seed_of(seed, sample.name, 0)))


def _jitter(pair: Pair, seed: list[int]) -> Pair:
    image = torch.from_numpy(pair.after.transpose(2, 0, 1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.default_rng(seed).integers(1 << 63)))
        changed = v2.ColorJitter(**JITTER)(image)
    return replace(pair, after=np.ascontiguousarray(changed.numpy().transpose(1, 2, 0)))
