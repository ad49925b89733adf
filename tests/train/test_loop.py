"""One training, interrupted in several ways, must end as if it had not been."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from terradelta.detectors import DETECTORS, load_detector
from terradelta.errors import InputError, ModelError, UsageError
from terradelta.train import loop, train, validate
from terradelta.train.checkpoint import NAME

from . import tiny
from .tiny import Squares, register, settings

PROGRAM = Path(tiny.__file__)
ONE_STEP = {
    "steps": 1,
    "batch": 6,
    "dropout": 0.0,
    "loss": {"terms": ["bce", "dice"], "smoothing": 0.4},
}
LAUNCH = ("--multi_gpu", "--num_processes=2", "--num_machines=1", "--main_process_port=0")
PLAIN = ("--mixed_precision=no", "--dynamo_backend=no")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in the programs that are started: other numbers of threads round otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    DETECTORS.pop("tiny", None)


def run(folder: Path, **instead: Any) -> loop.Trained:
    return train(settings(**instead), Squares(), Squares(5), folder, device="cpu")


def started(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def assert_same_end(one: Path, other: Path) -> None:
    for name in ("last/model.safetensors", "best/model.safetensors", "curves.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    states = [
        torch.load(each / NAME, weights_only=True)["optimiser"]["state"] for each in (one, other)
    ]
    for key, value in states[0].items():
        assert torch.equal(value["momentum_buffer"], states[1][key]["momentum_buffer"])


def test_after_kill_9_the_same_command_ends_in_the_same_bits(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    killed = started(sys.executable, str(PROGRAM), str(tmp_path / "cut"), "{}", "die", "8")
    assert killed.returncode == -9, killed.stderr
    assert torch.load(tmp_path / "cut" / NAME, weights_only=True)["step"] == 6
    run(tmp_path / "cut")
    assert_same_end(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_any_moment_of_writing_may_be_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimiser: str
) -> None:
    chosen = {"optimiser": {"name": optimiser, "learning_rate": 0.01}, "interval": 2, "steps": 4}
    run(tmp_path / "whole", **chosen)
    originals = {
        (loop, "save_subject"): loop.save_subject,
        (loop, "write_curves"): loop.write_curves,
        (loop.checkpoints, "save"): loop.checkpoints.save,
    }
    for (module, name), original in originals.items():

        def cut(*_: Any, name: str = name) -> None:
            raise KeyboardInterrupt(name)

        monkeypatch.setattr(module, name, cut)
        with pytest.raises(KeyboardInterrupt, match=name):
            run(tmp_path / "cut", **chosen)
        monkeypatch.setattr(module, name, original)
    run(tmp_path / "cut", **chosen)
    for name in ("last/model.safetensors", "curves.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    table = json.dumps(ONE_STEP)
    accelerate = [sys.executable, "-m", "accelerate.commands.launch", *LAUNCH, *PLAIN]
    two = started(*accelerate, str(PROGRAM), str(tmp_path / "two"), table)
    # Without this the comparison could be of one process with itself.
    assert two.stdout.split("\n").count("processes 2") == 2, two.stderr
    chosen = settings(**{key: value for key, value in ONE_STEP.items() if key != "dropout"})
    register(dropout=0.0)
    one = train(chosen, Squares(), Squares(5), tmp_path / "one", device="cpu")
    assert one.processes == 1
    # After the first step without weight decay the momentum is the gradient.
    gradients = [
        torch.load(tmp_path / name / NAME, weights_only=True)["optimiser"]["state"]
        for name in ("one", "two")
    ]
    assert len(gradients[0]) == 6
    for key, state in gradients[0].items():
        first, second = state["momentum_buffer"], gradients[1][key]["momentum_buffer"]
        assert first.abs().max() > 1e-3
        assert torch.allclose(first, second, rtol=0, atol=1e-6)


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(tmp_path / name, seed=seed)
    a, b, c = (load_file(tmp_path / name / "last" / "model.safetensors") for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["head.weight"], c["head.weight"])


def test_it_learns_and_the_best_is_kept(tmp_path: Path) -> None:
    optimiser = {"name": "adamw", "learning_rate": 0.02}
    chosen = settings(steps=80, interval=20, batch=6, augment={"crop": 16}, optimiser=optimiser)
    register(dropout=0.0)
    done = train(chosen, Squares(), Squares(5), tmp_path, device="cpu")
    rows = list(csv.DictReader((tmp_path / "curves.csv").open()))
    assert [int(row["step"]) for row in rows] == [20, 40, 60, 80]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) / 2
    assert done.best is not None
    assert done.best["f1"] == max(float(row["f1"]) for row in rows) > 0.8
    assert done.detector == tmp_path / "best"
    kept = load_detector(done.detector)
    assert validate(kept, Squares(5)).f1 == done.best["f1"]


def test_a_finished_training_is_told_again_and_a_new_one_can_be_asked_for(tmp_path: Path) -> None:
    first = run(tmp_path, steps=3)
    stamp = (tmp_path / NAME).stat().st_mtime_ns
    assert str(run(tmp_path, steps=3)) == str(first)  # as text, since no precision is NaN
    assert (tmp_path / NAME).stat().st_mtime_ns == stamp
    with pytest.raises(UsageError, match="another training"):
        run(tmp_path, steps=4)
    again = train(settings(steps=4), Squares(), None, tmp_path, device="cpu", resume=False)
    assert (again.last["step"], again.best, again.detector) == (4, None, tmp_path / "last")


def test_bfloat16_trains_and_the_weights_stay_float32(tmp_path: Path) -> None:
    run(tmp_path, precision="bfloat16", steps=2)
    weights = load_file(tmp_path / "last" / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_a_loss_that_is_no_number_stops_before_anything_is_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the loss is no number any more"):
        run(tmp_path, optimiser={"learning_rate": 1e30}, steps=6, interval=6)
    assert not (tmp_path / NAME).exists()


def test_what_cannot_be_trained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pairs"):
        train(settings(), Squares(0), None, tmp_path)
    with pytest.raises(UsageError, match="unknown device 'abacus'"):
        train(settings(), Squares(), None, tmp_path, device="abacus")
