"""The command as it will be registered, alone in an app of its own."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from terradelta.cli.train import train
from terradelta.detectors import load_detector
from terradelta.errors import TerradeltaError, UsageError
from terradelta.synth import write_made_dataset
from terradelta.train import recipes

app = typer.Typer()
app.command()(train)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_made_dataset(folder, 2, size=48)
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(
        'detector = "fc-ef"\nsteps = 9\nbatch = 2\nworkers = 0\n'
        "[optimiser]\nlearning_rate = 0.01\n[augment]\ncrop = 32\n"
    )
    return path


def command(*words: object) -> str:
    """What it prints; its error is raised."""
    answer = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(answer.exception, TerradeltaError):
        raise answer.exception
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_it_trains_what_the_options_say_and_goes_on(
    data: Path, recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ("--detector", "fc-siam-diff", "--steps", 2, "--device", "cpu", "--json")
    words = (recipe, "--data", data, "--val", data, "-o", tmp_path / "out", *options)
    first = command(*words) or capfd.readouterr().out
    told = json.loads(first)
    assert told["last"]["step"] == 2
    assert told["processes"] == 1
    detector = load_detector(told["detector"])
    assert detector.name == "fc-siam-diff"
    assert json.loads(command(*words) or capfd.readouterr().out) == told


def test_without_splits_nothing_is_held_out(
    data: Path, recipe: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = (recipe, "--data", data, "-o", tmp_path / "out", "--steps", 1, "--device", "cpu")
    text = command(*words) or capfd.readouterr().out
    lines = text.splitlines()
    assert lines[0] == "processes 1"
    assert lines[1].startswith("steps     1, loss ")
    assert lines[2] == f"detector  {tmp_path / 'out' / 'last'}"


def test_wrong_calls_leave_nothing_behind(data: Path, recipe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="unknown recipe 'quik'"):
        command("quik", "--data", data, "-o", out)
    with pytest.raises(UsageError, match="unknown detector 'yolo'"):
        command(recipe, "--data", data, "-o", out, "--detector", "yolo")
    assert not out.exists()


def test_single_dates_and_pairs_to_validate_with(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for role, source in (("images", "A"), ("labels", "label")):
        (tmp_path / "dates" / role).parent.mkdir(exist_ok=True)
        (tmp_path / "dates" / role).symlink_to(data / source)
    recipe = tmp_path / "star.toml"
    recipe.write_text(
        'detector = "changestar-1x96-r18"\nlabels = "objects"\nsteps = 1\nbatch = 2\nworkers = 0\n'
        "[augment]\ncrop = 32\n"
    )
    words = (recipe, "--data", tmp_path / "dates", "--val", data, "-o", tmp_path / "out")
    told = json.loads(command(*words, "--device", "cpu", "--json") or capfd.readouterr().out)
    # The network of the pairs, and one layer of 96 weights and a bias for the objects.
    assert told["trainable"] == told["parameters"] == 16_401_569 + 97
    assert told["last"]["f1"] is None or 0 <= told["last"]["f1"] <= 1


def test_a_sam_is_for_oracles(data: Path, recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="segmenter and lora are for the detector oracle"):
        command(recipe, "--data", data, "-o", tmp_path / "out", "--model", "sam-vit-b")


def test_the_help_names_every_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    text = CliRunner().invoke(app, ["--help"]).output
    assert all(name in text for name in recipes())
