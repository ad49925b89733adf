"""How good a detector is on labelled pairs: pixel counts of the change class, pooled over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from terradelta.detectors import Detector, normalise
from terradelta.metrics import PixelCounts
from terradelta.train.augment import TensorPair, as_tensor
from terradelta.train.losses import IGNORED
from terradelta.train.pairs import PairSource
from terradelta.types import Progress, silent


def validate(
    detector: Detector,
    source: PairSource,
    *,
    process: int = 0,
    processes: int = 1,
    workers: int = 0,
    autocast: AbstractContextManager[None] | None = None,
    progress: Progress = silent,
) -> PixelCounts:
    """The counts of this process's share of the pairs, whole, on the device of the detector.

    A pixel is change where the logit is above 0, or of K kinds the first is not the largest; in truth,
    where the label is above 0.5, or no class 0. Pixels with the label 255 are left out. The detector is
    left in the mode in which it came.
    """
    mine = range(process, len(source), processes)
    pairs: DataLoader[TensorPair] = DataLoader(
        _Whole(source, mine), batch_size=None, num_workers=workers
    )
    device = next(detector.parameters()).device
    training = detector.training
    detector.eval()
    counts = PixelCounts()
    with torch.no_grad(), autocast or nullcontext():
        for done, (before, after, label) in enumerate(pairs):
            progress("validating", done, len(mine))
            logits = detector(*(normalise(image[None].to(device)) for image in (before, after)))
            counts += _counts(changed(logits)[0].cpu(), label)
    detector.train(training)
    return counts


def changed(logits: Tensor) -> Tensor:
    """bool [B, H, W] of logits [B, classes, H, W]."""
    return logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1) != 0


def _counts(answer: Tensor, label: Tensor) -> PixelCounts:
    known = label != IGNORED
    # 0.5 parts soft labels, and class 0 from the others.
    return PixelCounts.of(np.asarray(answer[known]), np.asarray(label[known] > 0.5))


class _Whole(Dataset[TensorPair]):
    """Some of the pairs, as they are."""

    def __init__(self, source: PairSource, chosen: Sequence[int]) -> None:
        self._source, self._chosen = source, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, place: int) -> TensorPair:
        before, after, label = self._source[self._chosen[place]]
        return as_tensor(before), as_tensor(after), torch.from_numpy(np.ascontiguousarray(label))
