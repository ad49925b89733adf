"""A detector with its optimiser: takes one step, is validated, gives and takes back its state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from terradelta.errors import ModelError
from terradelta.metrics import PixelCounts
from terradelta.train.checkpoint import Checkpoint, Row
from terradelta.train.order import seed_step
from terradelta.train.pairs import PairSource
from terradelta.train.processes import same_buffers, share_batch_statistics
from terradelta.train.schedule import make_optimiser, poly, set_learning_rate
from terradelta.train.settings import TrainSettings
from terradelta.train.subject import build_subject, learnt_state, objective_of
from terradelta.train.validation import validate
from terradelta.types import Progress

if TYPE_CHECKING:
    from accelerate import Accelerator


class Learner:
    """``detector`` and all that makes it better, on the device and in the precision of accelerate."""

    def __init__(
        self, settings: TrainSettings, state: Checkpoint, accelerator: Accelerator
    ) -> None:
        """With new weights, which the seed decides, or with those of the state if it has any."""
        self._settings, self._accelerator = settings, accelerator
        torch.manual_seed(settings.seed)
        detector = build_subject(settings)
        share_batch_statistics(detector, accelerator)
        self.detector = detector.to(accelerator.device).train()
        optimiser = make_optimiser(self.detector.parameters(), settings.optimiser)
        if state.step:
            self.detector.load_state_dict({**self.detector.state_dict(), **state.detector})
            optimiser.load_state_dict(state.optimiser)
        self._objective, self._optimiser = accelerator.prepare(
            objective_of(settings, self.detector), optimiser
        )
        if state.scaler is not None:
            accelerator.scaler.load_state_dict(state.scaler)
        self._rate, self._losses = 0.0, torch.zeros(2, device=accelerator.device)

    def step(self, number: int, batch: Sequence[Tensor]) -> None:
        """Take the step ``number``, counted from 0, on this process's part of its batch."""
        settings, accelerator = self._settings, self._accelerator
        schedule = settings.schedule
        self._rate = settings.optimiser.learning_rate * poly(
            number, settings.steps, schedule.power, schedule.warmup
        )
        set_learning_rate(self._optimiser, self._rate)
        seed_step(settings.seed, number, accelerator.process_index)
        loss = self._objective(*(each.to(accelerator.device, non_blocking=True) for each in batch))
        accelerator.backward(loss)
        if settings.optimiser.clip is not None:
            accelerator.clip_grad_norm_(self.detector.parameters(), settings.optimiser.clip)
        self._optimiser.step()
        self._optimiser.zero_grad()
        self._losses += torch.stack([loss.detach(), torch.ones_like(loss)])

    def row(self, step: int) -> Row:
        """The curves' row after ``step`` steps; its loss is the mean since the row before.

        Raises:
            ModelError: it is no number any more.
        """
        total, steps = self._accelerator.reduce(self._losses, "mean").tolist()
        self._losses.zero_()
        if not math.isfinite(total):
            raise ModelError(
                f"the loss is no number any more within the {steps:.0f} steps up to {step}: lower the "
                f"learning rate, warm up, or use precision float32"
            )
        return {"step": step, "learning_rate": self._rate, "loss": total / steps}

    def validated(self, pairs: PairSource, progress: Progress) -> PixelCounts:
        """The counts over all pairs, which the processes share."""
        accelerator = self._accelerator
        same_buffers(self.detector, accelerator)
        counts = validate(
            self.detector,
            pairs,
            process=accelerator.process_index,
            processes=accelerator.num_processes,
            workers=self._settings.workers,
            autocast=accelerator.autocast(),
            progress=progress,
        )
        mine = torch.from_numpy(counts.as_array()).to(accelerator.device)
        return PixelCounts.from_array(accelerator.reduce(mine, "sum").cpu().numpy())

    def store(self, state: Checkpoint) -> None:
        """Put weights, optimiser and scaler into the state."""
        state.detector = learnt_state(self.detector)
        state.optimiser = self._optimiser.state_dict()
        scaler = self._accelerator.scaler
        state.scaler = None if scaler is None else scaler.state_dict()
