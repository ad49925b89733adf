import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from terradelta.detectors import DETECTORS, build_detector, load_detector, save_detector
from terradelta.detectors.files import CARD, WEIGHTS, read_card
from terradelta.errors import ModelError, OutputError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return save_detector(build_detector("snunet", channels=2), tmp_path / "snunet", {"steps": 7})


@pytest.mark.parametrize("name", DETECTORS)
def test_saved_and_loaded_answers_the_same(
    name: str, built: Any, pair: Any, tmp_path: Path
) -> None:
    save_detector(built(name), tmp_path)
    loaded = load_detector(tmp_path)
    assert not loaded.training
    assert (loaded.name, loaded.settings) == (name, built(name).settings)
    with torch.inference_mode():
        assert loaded(*pair(37, 21)).equal(built(name)(*pair(37, 21)))


def test_what_was_said_of_it_is_kept(folder: Path) -> None:
    assert read_card(folder) == {
        "name": "snunet",
        "settings": {"channels": 2, "classes": 1},
        "extra": {"steps": 7},
    }
    assert sorted(path.name for path in folder.iterdir()) == [CARD, WEIGHTS]


def test_saved_over_an_older_one(folder: Path, pair: Any) -> None:
    torch.manual_seed(1)
    newer = build_detector("snunet", channels=2).eval()
    save_detector(newer, folder)
    with torch.inference_mode():
        assert load_detector(folder)(*pair(16, 16)).equal(newer(*pair(16, 16)))
    assert read_card(folder)["extra"] == {}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[: len(data) // 2], "cannot read the weights"),
        (lambda data: data[:3], "cannot read the weights"),
        (lambda data: b"\xff" * 8 + data[8:], "cannot read the weights"),
        (lambda data: b"", "cannot read the weights"),
    ],
)
def test_damaged_weights_are_refused(folder: Path, damage: Any, message: str) -> None:
    path = folder / WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match=message):
        load_detector(folder)


def test_weights_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    first = min(tensors)

    def refused(changed: dict[str, torch.Tensor], message: str) -> None:
        save_file(changed, folder / WEIGHTS)
        with pytest.raises(ModelError, match=message):
            load_detector(folder)

    refused({key: value for key, value in tensors.items() if key != first}, "1 tensors differ")
    refused(tensors | {"more": torch.zeros(1)}, "the first is more")
    refused(tensors | {first: torch.zeros(7)}, first)
    refused(tensors | {first: torch.full_like(tensors[first], torch.nan)}, "not numbers")


def test_weights_of_another_detector_are_refused(folder: Path, tmp_path: Path) -> None:
    other = save_detector(build_detector("snunet", channels=3), tmp_path / "other")
    (other / WEIGHTS).rename(folder / WEIGHTS)
    with pytest.raises(
        ModelError, match=r"does not fit snunet with the settings of detector\.json"
    ):
        load_detector(folder)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("{", "cannot read detector.json"),
        ("[]", "needs name, settings, extra"),
        ('{"name": "snunet", "settings": {}}', "needs name, settings, extra"),
        ({"name": "resnet"}, "unknown detector 'resnet'"),
        ({"name": "snunet", "settings": {"width": 1}}, "has no setting 'width'"),
        ({"name": "snunet", "settings": {"channels": "many"}}, "describes no detector"),
        ({"name": "snunet", "settings": {"name": "bit"}}, "describes no detector"),
        ({"name": "snunet", "settings": {"pretrained": True}}, "describes no detector"),
    ],
)
def test_a_card_of_no_detector_is_refused(folder: Path, card: Any, message: str) -> None:
    if isinstance(card, dict):
        card = json.dumps({"settings": {}, "extra": {}} | card)
    (folder / CARD).write_text(card)
    with pytest.raises(ModelError, match=message):
        load_detector(folder)


def test_nothing_there(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelError, match="not the folder of a detector"):
        load_detector(tmp_path / "nowhere")
    (folder / WEIGHTS).unlink()
    with pytest.raises(ModelError, match="cannot read the weights"):
        load_detector(folder)


def test_no_such_device(folder: Path) -> None:
    with pytest.raises(UsageError, match="device 'moon'"):
        load_detector(folder, "moon")


def test_cannot_be_written(folder: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        save_detector(load_detector(folder), folder / CARD)
