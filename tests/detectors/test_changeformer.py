from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from terradelta.detectors import build_detector

NAME = "changeformer-mitb1"


def test_published_size(built: Any) -> None:
    count = sum(weight.numel() for weight in built(NAME).parameters())
    assert count / 1e6 == pytest.approx(13.94, abs=0.005)


def test_each_date_has_its_half_of_the_channels(pair: Any) -> None:
    """With the weights of the later half at zero, the later date is not seen."""
    detector = build_detector(NAME).eval()
    before, after = pair(32, 32)
    with torch.inference_mode():
        for layer in detector.reduce:
            layer[0].weight[:, layer[0].in_channels // 2 :].zero_()
        assert torch.equal(detector(before, after), detector(before, before))
        assert not torch.allclose(detector(before, after), detector(after, after), atol=1e-4)


def bce(logits: Tensor, label: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits[:, 0], label)
