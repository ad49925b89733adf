from typing import Any

import pytest
import torch

from terradelta.cli.options import Approximation, Dtype, Preset, load_model
from terradelta.errors import ModelError, UsageError
from terradelta.sam.proposals import APPROXIMATIONS
from terradelta.zeroshot.anychange import PRESETS

UNSET: dict[str, Any] = {
    "model": "regions",
    "preset": Preset.default,
    "points_per_side": None,
    "pred_iou": None,
    "stability": None,
    "nms": None,
    "min_region_area": 0,
    "upscale": 1,
    "device": "cpu",
    "dtype": Dtype.float32,
}


def test_the_presets_on_offer_are_those_there_are() -> None:
    assert [preset.value for preset in Preset] == list(PRESETS)
    assert [name.value for name in Approximation] == list(APPROXIMATIONS)


def test_the_dtypes_on_offer_are_dtypes_of_torch() -> None:
    for dtype in Dtype:
        assert getattr(torch, dtype.value).is_floating_point


def test_options_left_out_leave_the_settings_of_the_segmenter() -> None:
    model = load_model(**UNSET)
    assert repr(model) == "AnyChange('regions', preset='default', angle=23)"
    assert model.settings.points_per_side == 128


def test_every_option_reaches_the_model() -> None:
    model = load_model(
        **UNSET
        | {
            "preset": Preset.paper_xview2,
            "points_per_side": 12,
            "pred_iou": 0.1,
            "nms": 0.4,
            "min_region_area": 9,
            "upscale": 2,
        }
    )
    settings = model.settings
    assert (settings.points_per_side, settings.pred_iou, settings.nms) == (12, 0.1, 0.4)
    assert (settings.stability, settings.min_region_area) == (0.95, 9)
    assert (model.upscale, model.angle, model.preset) == (2, 25.0, "paper-xview2")


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x"])
def test_an_unknown_device_is_named_with_those_there_are(device: str) -> None:
    with pytest.raises(UsageError, match=f"unknown device '{device}': use cpu, cuda or mps"):
        load_model(**UNSET | {"device": device})


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ModelError, match="'nothing'"):
        load_model(**UNSET | {"model": "nothing"})
