"""Rounds: label, train, and label again with what was trained.

The first labels are those of the labeller, as AnyChange's (Zheng et al., "Segment Any Change", section
4.3); those of every later round are the answers of the detector that was trained in the round before, for
the same pairs. The paper does one round.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from terradelta.data import Dataset
from terradelta.detectors.changes import load_change_detector
from terradelta.engine.asking import Asking
from terradelta.engine.curate import Curation
from terradelta.engine.label import label
from terradelta.engine.labels import names_in, read_label
from terradelta.engine.pairs import UNLABELLED, open_unlabelled
from terradelta.engine.writing import Labels
from terradelta.errors import UsageError
from terradelta.geo.files import writable_folder, write_text
from terradelta.metrics import PixelCounts
from terradelta.train import PairSource, Trained, TrainSettings, open_pairs, train
from terradelta.types import ChangeModel, Progress, silent

TABLE = "rounds.csv"


@dataclass(frozen=True, slots=True)
class Round:
    """One round; what was not measured is None, as in the row of `rounds.csv` that it is.

    ``label_...`` compare the labels with the truth, in their known pixels, where there is truth;
    ``val_...`` are of the detector in the validation, which also chose it among those of the training.
    """

    round: int
    labeller: str
    labels: int
    dropped: int
    changed_fraction: float | None
    known_fraction: float | None
    label_f1: float | None
    label_precision: float | None
    label_recall: float | None
    steps: int
    val_f1: float | None
    val_precision: float | None
    val_recall: float | None
    detector: str


def rounds(
    pairs: Dataset | str | Path,
    labeller: ChangeModel,
    settings: TrainSettings,
    out: str | Path,
    count: int,
    *,
    asking: Asking | None = None,
    curation: Curation | None = None,
    val_data: PairSource | None = None,
    device: str | None = None,
    progress: Progress = silent,
) -> list[Round]:
    """Label and train so many times in a row; interrupted, the same call goes on.

    ``out`` gets the table ``rounds.csv`` and a folder for each, ``round-1`` and so on, in which there are
    ``labels`` and ``training``. The truth is only compared with, never learnt from.

    Args:
        pairs: see `label`.
        labeller: gives the labels of the first round, asked as ``asking`` says. Detectors are asked
            for what they find, for soft labels and by both dates where ``asking`` does.
        settings: of every training. Soft labels are learnt from if it says so.
        curation: of the labels of every round; by default none.
        val_data: labelled pairs to validate with, and to choose the best detector of a training; without
            them its last one labels.
        device: where the detectors run; see `terradelta.train.train`.

    Raises:
        UsageError: no rounds, soft labels to learn from that are not made, or another setting than that
            with which the folder was begun.
        InputError, ModelError, OutputError: see `label` and `train`.
    """
    asking, curation = asking or Asking(), curation or Curation()
    if count < 1:
        raise UsageError(f"{count} rounds: do at least 1")
    if settings.labels == "soft" and not asking.soft:
        raise UsageError("the training learns from soft labels: ask for them with soft")
    dataset = pairs if isinstance(pairs, Dataset) else open_unlabelled(pairs)
    folder = writable_folder(out)
    done: list[Round] = []
    for number in range(1, count + 1):
        place = folder / f"round-{number}"
        tell = _named(progress, f"round {number}")
        made = label(
            dataset, labeller, place / "labels", asking=asking, curation=curation, progress=tell
        )
        found = open_pairs(made.folder, "train", soft=settings.labels == "soft")
        trained = train(settings, found, val_data, place / "training", device=device, progress=tell)
        scores = _scores(made.folder, dataset)
        done.append(_round(number, labeller, made, scores, trained))
        write_text(folder / TABLE, _csv(done))
        labeller = load_change_detector(trained.detector, device or _best_device())
        asking = Asking(soft=asking.soft, both_dates=asking.both_dates)
    return done


def score_labels(folder: Path, dataset: Dataset) -> PixelCounts:
    """The labels in a folder against the truth of their pairs, pooled over the pixels that are known.

    Raises:
        InputError: a label or the truth of a pair cannot be read.
    """
    truths = {sample.name: sample.truth for sample in dataset.samples}
    counts = PixelCounts()
    for name in names_in(folder):
        made = read_label(folder, name)
        counts += PixelCounts.of(made.changed[made.known], truths[name]()[made.known])
    return counts


def _round(
    number: int,
    labeller: ChangeModel,
    made: Labels,
    scores: Mapping[str, float],
    trained: Trained,
) -> Round:
    row = trained.last if trained.best is None else trained.best
    return Round(
        round=number,
        labeller=str(labeller.describe()["model"]),
        labels=len(made),
        dropped=sum(made.summary["dropped"].values()),
        changed_fraction=made.summary["changed_fraction"],
        known_fraction=made.summary["known_fraction"],
        label_f1=_number(scores.get("f1")),
        label_precision=_number(scores.get("precision")),
        label_recall=_number(scores.get("recall")),
        steps=int(row["step"]),
        val_f1=_number(row.get("f1")),
        val_precision=_number(row.get("precision")),
        val_recall=_number(row.get("recall")),
        detector=f"round-{number}/training/{trained.detector.name}",
    )


def _scores(folder: Path, dataset: Dataset) -> Mapping[str, float]:
    return {} if dataset.name == UNLABELLED else score_labels(folder, dataset).as_dict()


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _named(progress: Progress, name: str) -> Progress:
    def tell(stage: str, done: int, total: int) -> None:
        progress(f"{name}: {stage}", done, total)

    return tell


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 6)


def _csv(done: list[Round]) -> str:
    text = io.StringIO()
    columns: list[Any] = [each.name for each in fields(Round)]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(each) for each in done)
    return text.getvalue()
