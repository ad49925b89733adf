"""The training loop: one for all detectors, on one process or many, that can be killed at any moment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from terradelta.errors import InputError, UsageError
from terradelta.geo.files import writable_folder
from terradelta.sam.allocator import keep_freed_memory
from terradelta.train import checkpoint as checkpoints
from terradelta.train.checkpoint import Checkpoint, Row
from terradelta.train.curves import SCORES, Board, best_row, write_curves
from terradelta.train.learner import Learner
from terradelta.train.order import batches
from terradelta.train.pairs import PairSource
from terradelta.train.processes import from_first, start_processes
from terradelta.train.settings import TrainSettings
from terradelta.train.subject import parameter_counts, save_subject
from terradelta.types import Progress, silent

LAST, BEST = "last", "best"
"""Folders of detectors, within that of the training."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A training that is done.

    ``detector`` is the folder of the best detector, or of the last where none was the best, for
    `load_detector`. ``last`` and ``best`` are rows of the curves: step, learning_rate, loss and, if
    validated, f1, precision, recall and iou. ``processes`` shared the work of this run. Of all its
    ``parameters`` the network learnt ``trainable`` ones.
    """

    folder: Path
    detector: Path
    last: Row
    best: Row | None
    processes: int
    trainable: int
    parameters: int


def train(
    settings: TrainSettings,
    train_data: PairSource,
    val_data: PairSource | None,
    out: str | Path,
    *,
    device: str | None = None,
    resume: bool = True,
    progress: Progress = silent,
) -> Trained:
    """Train a detector or an oracle, or go on with a training that was interrupted.

    ``out`` gets ``last`` and, with ``val_data``, ``best`` (highest F1 of the change class), folders for
    `load_detector` or `load_oracle`; ``curves.csv``; and ``resume.pt``, with which the same call goes on
    after an interruption to the same weights, bit for bit. All are replaced every ``interval`` steps and
    at the end. Run by `accelerate launch`, the processes share each batch, and the first of them writes.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``; by default the best there is, or as accelerate is set up.
        resume: False begins anew, whatever is in ``out``.
        progress: told the pairs shown so far, of all.

    Raises:
        UsageError: settings that do not fit the machine, or ``out`` holds another training.
        InputError: no pairs, or one that cannot be read.
        ModelError: unknown backbone, a damaged checkpoint, or the loss is no number any more.
        OutputError: ``out`` cannot be written.
    """
    if len(train_data) == 0 or (val_data is not None and len(val_data) == 0):
        raise InputError("there are no pairs to train or to validate with")
    folder = writable_folder(out)
    accelerator = start_processes(settings.precision, device)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    first, processes = accelerator.is_main_process, accelerator.num_processes
    if settings.batch % processes:
        raise UsageError(f"{processes} processes cannot share a batch of {settings.batch} evenly")
    state = checkpoints.begin(settings, len(train_data))
    if resume and first:
        state = checkpoints.load(folder, state)
    state = from_first(state, accelerator)
    progress = progress if first else silent
    learner = Learner(settings, state, accelerator)
    board = Board(folder, state.step) if first else None

    pairs = settings.steps * settings.batch
    for batch in batches(train_data, settings, state.step, accelerator.process_index, processes):
        learner.step(state.step, batch)
        state.step += 1
        progress("training, pairs", state.step * settings.batch, pairs)
        if state.step % settings.interval and state.step < settings.steps:
            continue
        row = learner.row(state.step)
        if val_data is not None:
            counts = learner.validated(val_data, progress)
            row |= {name: getattr(counts, name) for name in SCORES}
        state.rows.append(row)
        if board is not None:
            board.add(row)
            _save(learner, state, folder)
        accelerator.wait_for_everyone()

    if board is not None:
        board.close()
    best = best_row(state.rows)
    detector = folder / (LAST if best is None else BEST)
    return Trained(
        folder, detector, state.rows[-1], best, processes, *parameter_counts(learner.detector)
    )


def _save(learner: Learner, state: Checkpoint, folder: Path) -> None:
    """All files; the checkpoint last, so that whatever an interruption cuts off is written again."""
    row = state.rows[-1]
    scores = {key: None if math.isnan(value) else value for key, value in row.items()}
    extra = {"training": {**state.settings, "pairs": state.pairs}, "row": scores}
    if best_row(state.rows) is row:
        save_subject(learner.detector, folder / BEST, extra)
    save_subject(learner.detector, folder / LAST, extra)
    write_curves(folder / "curves.csv", state.rows)
    learner.store(state)
    checkpoints.save(state, folder)
