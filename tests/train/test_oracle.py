"""Training an oracle with the loop of all detectors."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from terradelta.oracle import load_oracle, load_oracle_network
from terradelta.train import train, validate
from terradelta.train.checkpoint import NAME
from terradelta.train.settings import TrainSettings, settings_of

from .tiny import Squares


def settings(sam_folder: Path, **instead: Any) -> TrainSettings:
    return settings_of(
        {
            "detector": "oracle",
            "segmenter": str(sam_folder),
            "steps": 4,
            "batch": 2,
            "interval": 2,
            "workers": 0,
            "loss": {"terms": ["bce", "dice"]},
            "optimiser": {"name": "adamw", "learning_rate": 2e-3, "weight_decay": 0.01},
            "augment": {"crop": 16},
            "lora": {"rank": 4, "alpha": 8.0},
            **instead,
        }
    )


def test_it_learns_and_its_best_is_loaded_with_the_same_scores(
    sam_folder: Path, tmp_path: Path
) -> None:
    chosen = settings(sam_folder, steps=16, interval=8, batch=4, augment={"crop": 24})
    done = train(chosen, Squares(12), Squares(3), tmp_path, device="cpu")
    rows = list(csv.DictReader((tmp_path / "curves.csv").open()))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert done.best is not None
    network = load_oracle_network(done.detector)
    assert validate(network, Squares(3)).f1 == done.best["f1"]
    # By hand: 2 layers with r (64 + 192) each, and the score network of 64 channels.
    assert done.trainable == 2 * 4 * 256 + sum(w.numel() for w in network.score.parameters())
    assert done.parameters == sum(w.numel() for w in network.parameters()) > done.trainable
    before, after, _ = Squares(1)[0]
    assert load_oracle(done.detector, points_per_side=4).detect(before, after).pair.shape == (
        24,
        24,
    )


def test_interrupted_it_ends_in_the_same_bits_and_keeps_no_frozen_weight(
    sam_folder: Path, tmp_path: Path
) -> None:
    chosen = settings(sam_folder)

    def cut(stage: str, done: int, total: int) -> None:
        if stage.startswith("training") and done == 3 * chosen.batch:
            raise KeyboardInterrupt

    train(chosen, Squares(), None, tmp_path / "whole", device="cpu")
    with pytest.raises(KeyboardInterrupt):
        train(chosen, Squares(), None, tmp_path / "cut", device="cpu", progress=cut)
    kept = torch.load(tmp_path / "cut" / NAME, weights_only=True)
    assert kept["step"] == 2
    assert all("lora_" in name or name.startswith("score.") for name in kept["detector"])
    train(chosen, Squares(), None, tmp_path / "cut", device="cpu")
    for name in ("adapter_model.safetensors", "score.safetensors"):
        whole, again = (tmp_path / folder / "last" / name for folder in ("whole", "cut"))
        assert whole.read_bytes() == again.read_bytes()
