import inspect
from importlib import import_module
from typing import Any

import pytest
import torch

from terradelta.detectors import DETECTORS, build_detector
from terradelta.errors import UsageError


def test_names_are_those_of_the_papers() -> None:
    assert list(DETECTORS) == [
        "fc-ef",
        "fc-siam-conc",
        "fc-siam-diff",
        "stanet",
        "cdnet",
        "bit",
        "snunet",
        "changer-r18",
        "changeformer-mitb1",
        "lightcdnet",
        "tinycd",
        "changestar-1x96-r18",
        "changestar-1x96-mitb1",
        "changestar-1x256-r50",
    ]


@pytest.mark.parametrize("name", DETECTORS)
def test_every_family_takes_the_settings_of_its_card(name: str) -> None:
    module, function = DETECTORS[name].home.split(":")
    parameters = inspect.signature(getattr(import_module(module), function)).parameters
    assert parameters["classes"].default == 1
    assert all(one.kind is inspect.Parameter.KEYWORD_ONLY for one in parameters.values())
    assert set(DETECTORS[name].settings) <= set(parameters)


def test_settings_are_kept_to_build_it_again() -> None:
    detector = build_detector("snunet", classes=2, channels=2, pretrained=True)
    assert (detector.name, detector.settings) == ("snunet", {"classes": 2, "channels": 2})
    again = build_detector(detector.name, **detector.settings)
    assert again.settings == detector.settings
    shapes = {name: tensor.shape for name, tensor in detector.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in again.state_dict().items()}


@pytest.mark.parametrize("name", DETECTORS)
def test_weights_depend_on_the_seed_alone(name: str) -> None:
    def weights(seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        return build_detector(name).state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert all(first[key].equal(again[key]) for key in first)
    assert not all(first[key].equal(other[key]) for key in first)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("fc-siam", {}, "unknown detector 'fc-siam': choose from fc-ef, "),
        ("fc-ef", {"width": 3}, "fc-ef has no setting 'width': it has classes"),
        ("fc-ef", {"classes": 0}, "classes is 0"),
    ],
)
def test_what_cannot_be_built(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_detector(name, **settings)
