"""Is a detector better than the pseudo labels it learnt from? AnyChange labels, ChangeStar learns.

    python benchmarks/pseudo_labels.py [--arms plain,curated] [--steps 1000] [--real DIR --real DIR]

Made pairs of 256 px: AnyChange (`regions`) labels those for training, never shown their truth; ChangeStar
(1 x 96) on ResNet-18 with random weights learns from its labels alone; both answer held-out pairs of
another seed, and the real pairs in folders with A, B and label, for which nothing is trained again. The
last weights count, not the best. Arms: ``plain`` learns from all answers, ``curated`` not from pixels on
which the dates or the neighbours do not agree. The recipe is ``quick``; F1, precision and recall are of
the change class, in pixels pooled over the pairs, F1 with its 95 % interval over them. Results go to
``benchmarks/results/pseudo_labels.json`` after every arm; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from regions import cpu_name, output

from terradelta import AnyChange
from terradelta.data import Dataset, open_dataset
from terradelta.detectors.changes import load_change_detector
from terradelta.engine import Asking, Curation, label
from terradelta.engine.curate import NEIGHBOURS_PX
from terradelta.engine.rounds import score_labels
from terradelta.metrics import PixelCounts, bootstrap_intervals
from terradelta.synth import write_made_dataset
from terradelta.train import load_settings, open_pairs, train
from terradelta.types import ChangeModel

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/pseudo_labels.json"
ARMS = {
    "plain": (Asking(), Curation()),
    "curated": (Asking(both_dates=True), Curation(neighbours=NEIGHBOURS_PX)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arms", default="plain,curated", help="comma-separated")
    parser.add_argument("--pairs", type=int, default=500, help="to learn from")
    parser.add_argument("--held-out", type=int, default=60)
    parser.add_argument("--detector", default="changestar-1x96-r18")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--real", type=Path, action="append", default=[], help="A, B and label")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "terradelta-pseudo-labels",
        help="where pairs, labels and trainings are made, and kept",
    )
    asked = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    made = asked.folder / f"made-{asked.pairs}"
    write_made_dataset(made / "train", asked.pairs, seed=0, progress=tell)
    write_made_dataset(made / f"test-{asked.held_out}", asked.held_out, seed=1, progress=tell)
    tested = {"made": open_dataset(made / f"test-{asked.held_out}", "folder")}
    tested |= {folder.name: open_dataset(folder, "folder") for folder in asked.real}
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": output("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "hardware": {"cpu": cpu_name(), "cores": os.cpu_count()},
        "pairs": {"learnt": asked.pairs, **{name: len(some) for name, some in tested.items()}},
        "labeller": {"model": AnyChange().describe(), **scores_of(AnyChange(), tested)},
        "arms": {},
    }
    for arm in asked.arms.split(","):
        result["arms"][arm] = measured(arm, asked, open_dataset(made / "train", "folder"), tested)
        gain = (
            result["arms"][arm]["scores"]["made"]["f1"] - result["labeller"]["scores"]["made"]["f1"]
        )
        result["arms"][arm]["points_of_f1_above_its_labeller"] = round(100 * gain, 2)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


def measured(
    arm: str, asked: argparse.Namespace, learnt: Dataset, tested: dict[str, Dataset]
) -> dict[str, Any]:
    """One arm: its labels, its training, and what the detector answers."""
    asking, curation = ARMS[arm]
    began = time.perf_counter()
    folder = asked.folder / f"{arm}-{asked.pairs}"
    labels = label(
        learnt, AnyChange(), folder / "labels", asking=asking, curation=curation, progress=tell
    )
    labelled = time.perf_counter()
    settings = load_settings(
        "quick", detector=asked.detector, steps=asked.steps, interval=asked.steps
    )
    trained = train(
        settings,
        open_pairs(labels.folder, "train"),
        None,
        folder / f"{asked.detector}-{asked.steps}",
        device=asked.device,
        progress=tell,
    )
    seconds = {"label": labelled - began, "train": time.perf_counter() - labelled}
    return {
        "asking": asking.describe(),
        "curation": curation.describe(),
        "labels": {**labels.summary, "against_truth": shown([score_labels(labels.folder, learnt)])},
        "training": settings.model_dump(mode="json"),
        "loss": round(trained.last["loss"], 4),
        # Of what was left to do when the command was given.
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        **scores_of(load_change_detector(trained.detector, asked.device), tested),
    }


def scores_of(model: ChangeModel, tested: dict[str, Dataset]) -> dict[str, Any]:
    return {"scores": {name: shown(answers(model, some)) for name, some in tested.items()}}


def answers(model: ChangeModel, dataset: Dataset) -> list[PixelCounts]:
    """The counts of every pair."""
    counts = []
    for done, sample in enumerate(dataset.samples):
        tell(f"answering {dataset.root.name}", done, len(dataset))
        pair = sample.pair()
        mask = model.detect(pair.before, pair.after).to_mask()
        counts.append(PixelCounts.of(mask, sample.truth()))
    return counts


def shown(counts: list[PixelCounts]) -> dict[str, Any]:
    pooled = sum(counts, PixelCounts())
    found: dict[str, Any] = {
        name: round(getattr(pooled, name), 4) for name in ("f1", "precision", "recall")
    }
    if len(counts) > 1:
        found["f1_interval_95"] = [round(end, 4) for end in bootstrap_intervals(counts)["f1"]]
    return found


def tell(stage: str, done: int, total: int) -> None:
    if done % 50 == 0:
        print(f"{stage}: {done} of {total}", flush=True)


if __name__ == "__main__":
    main()
