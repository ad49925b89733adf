from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from terradelta.detectors.tinycd import Guided, Mixing, interleaved

NAME = "tinycd"


def test_published_size(built: Any) -> None:
    count = sum(weight.numel() for weight in built(NAME).parameters())
    assert count / 1e6 == pytest.approx(0.285, abs=0.0005)


def test_layers_of_efficientnet_behind_the_last_level_are_left_out(built: Any) -> None:
    backbone = built(NAME).backbone
    assert len(backbone.body.blocks) == 3
    with torch.inference_mode():
        levels = backbone(torch.zeros(1, 3, 32, 64))
    assert [tuple(level.shape[1:]) for level in levels] == [(24, 16, 32), (32, 8, 16), (56, 4, 8)]


def test_channels_are_interleaved() -> None:
    first, second = (torch.tensor(values).view(1, 3, 1, 1) for values in ([1, 3, 5], [2, 4, 6]))
    assert interleaved(first, second).flatten().tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("date", [0, 1])
def test_a_filter_sees_one_channel_of_both_dates(date: int) -> None:
    mixing = Mixing(3)
    dates = torch.rand(2, 1, 3, 6, 7)
    with torch.inference_mode():
        plain = mixing(interleaved(*dates))
        dates[date, 0, 1, 2, 3] += 1
        touched = (mixing(interleaved(*dates)) - plain).abs().amax((0, 2, 3))
    assert (touched > 1e-3).tolist() == [False, True, False]


def test_where_the_mask_is_zero_nothing_comes_from_below() -> None:
    """All positions become alike, so that nothing is left once their mean is taken off."""
    guided = Guided(4, 2)
    x = torch.rand(1, 4, 3, 5)
    with torch.inference_mode():
        closed = guided(x, torch.zeros(1, 1, 6, 10))
        assert guided(x, torch.ones(1, 1, 6, 10)).abs().max() > 0.1
    # The depthwise filters see zeros everywhere, and beyond the edge as well.
    torch.testing.assert_close(closed, torch.zeros(1, 2, 6, 10), atol=1e-3, rtol=0)


def bce(logits: Tensor, label: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits[:, 0], label)
