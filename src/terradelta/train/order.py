"""Which pairs a step sees, and how they are augmented: decided by the seed and the step alone.

Training is one long row of samples: the pairs in a new order for every epoch, each order drawn from the
seed and the number of the epoch. Step s with a batch of B takes the samples from s B on, shared evenly
among processes. Nothing of it has to be saved to go on where a run was killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from terradelta.train.augment import Augmentation, TensorPair
from terradelta.train.pairs import PairSource
from terradelta.train.settings import TrainSettings

_ORDER, _AUGMENT, _STEP = range(3)
"""What a random number is for."""


class Samples(Dataset[TensorPair]):
    """The row of samples; the n-th is the same in every process and at every call."""

    def __init__(self, source: PairSource, settings: TrainSettings) -> None:
        self._source, self._seed = source, settings.seed
        self._augment = Augmentation(settings.augment)
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __getitem__(self, number: int) -> TensorPair:
        pair = self._source[self.index(number)]
        with _seeded(self._seed, _AUGMENT, number):
            return self._augment(pair)

    def index(self, number: int) -> int:
        """Which pair of the source the sample shows."""
        epoch, place = divmod(number, len(self._source))
        if epoch != self._epoch:
            random = np.random.default_rng((self._seed, _ORDER, epoch))
            self._epoch, self._order = epoch, random.permutation(len(self._source))
        return int(self._order[place])


def batches(
    source: PairSource, settings: TrainSettings, start: int, process: int, processes: int
) -> Iterable[list[torch.Tensor]]:
    """This process's part of the batches of the steps from ``start`` on.

    Each is before and after, uint8 [b, 3, crop, crop], and label [b, crop, crop].
    """
    part = settings.batch // processes
    firsts = (s * settings.batch + process * part for s in range(start, settings.steps))
    return DataLoader(
        Samples(source, settings),
        batch_sampler=[list(range(first, first + part)) for first in firsts],
        num_workers=settings.workers,
        pin_memory=torch.cuda.is_available(),
    )


def seed_step(seed: int, step: int, process: int) -> None:
    """Seed what the network itself draws in a step, such as dropout."""
    torch.manual_seed(_seed_of(seed, _STEP, step, process))


@contextmanager
def _seeded(*numbers: int) -> Iterator[None]:
    """torch's CPU generator as the numbers decide; afterwards as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_seed_of(*numbers))
        yield


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))
