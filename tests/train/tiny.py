"""A network of a few hundred weights, pairs made of squares, and a training of both to be run and killed.

As a program: ``tiny.py OUT [JSON of settings]``; with the word ``die STEP`` it kills itself with signal 9
as soon as it has taken so many steps, with ``die-writing STEP`` just before that step's checkpoint.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor, nn

from terradelta.detectors import DETECTORS, Card, Detector
from terradelta.train import TrainSettings, train
from terradelta.train import checkpoint as checkpoints
from terradelta.train.pairs import LabelledPair
from terradelta.train.settings import settings_of

SETTINGS: dict[str, Any] = {
    "detector": "tiny",
    "steps": 10,
    "batch": 4,
    "interval": 3,
    "workers": 0,
    "optimiser": {"learning_rate": 0.1, "weight_decay": 0.0},
    "augment": {"crop": 16, "scale": [0.8, 1.25], "brightness": 0.2, "contrast": 0.2, "swap": True},
}


class Tiny(Detector):
    """No batch statistics; dropout where asked for, so that random numbers matter."""

    def __init__(self, classes: int, dropout: float) -> None:
        super().__init__(classes)
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Dropout2d(dropout)
        )
        self.head = nn.Conv2d(8, classes, 3, padding=1)

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        answer: Tensor = self.head((self.body(before) - self.body(after)).abs())
        return answer


def tiny(*, classes: int = 1, dropout: float = 0.0) -> Tiny:
    return Tiny(classes, dropout)


class Squares:
    """Pairs of noise with a bright square in the later one; the label 255 in a corner of some."""

    def __init__(self, count: int = 12, side: int = 24) -> None:
        self.count, self.side = count, side

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> LabelledPair:
        random = np.random.default_rng(index)
        before = random.integers(0, 120, (self.side, self.side, 3), np.uint8)
        after, label = before.copy(), np.zeros((self.side, self.side), np.float32)
        top, left = random.integers(0, self.side - 8, 2)
        after[top : top + 8, left : left + 8] += np.uint8(120)
        label[top : top + 8, left : left + 8] = 1
        label[: 3 * (index % 3)] = 255
        return before, after, label


def settings(**instead: Any) -> TrainSettings:
    register()
    return settings_of({**SETTINGS, **instead})


def register(dropout: float = 0.3) -> None:
    home = f"{__name__}:tiny"
    DETECTORS["tiny"] = Card("Tiny", "", home, 0.0, "", settings={"dropout": dropout})


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(step: int, batch: int) -> Callable[[str, int, int], None]:
    def progress(stage: str, done: int, total: int) -> None:
        if stage.startswith("training") and done == step * batch:
            die()

    return progress


def main(out: str, table: str = "{}", mode: str = "", step: str = "0") -> None:
    torch.set_num_threads(1)
    instead = json.loads(table)
    dropout = instead.pop("dropout", 0.3)
    chosen = settings(**instead)
    register(dropout)
    progress = dying_at(int(step) if mode == "die" else -1, chosen.batch)
    save = checkpoints.save

    def dying_save(state: checkpoints.Checkpoint, folder: Path) -> None:
        if mode == "die-writing" and state.step == int(step):
            die()
        save(state, folder)

    checkpoints.save = dying_save
    train(chosen, Squares(), Squares(5), out, device="cpu", progress=progress)
    # At once, or the lines of two processes mix.
    os.write(1, f"processes {PartialState().num_processes}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
