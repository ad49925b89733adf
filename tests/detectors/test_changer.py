from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from terradelta.detectors.changer import CHANNELS, COLUMNS, DualAlignment, exchanged, moved

NAME = "changer-r18"


def test_published_size(built: Any) -> None:
    count = sum(weight.numel() for weight in built(NAME).parameters())
    assert count / 1e6 == pytest.approx(11.39, abs=0.005)


def test_every_other_slice_is_exchanged() -> None:
    first, second = torch.zeros(1, 3, 2, 5), torch.ones(1, 3, 2, 5)
    one, other = exchanged(first, second, COLUMNS)
    assert one[0, 0].tolist() == [[1, 0, 1, 0, 1]] * 2
    assert other[0, 0].tolist() == [[0, 1, 0, 1, 0]] * 2
    one, other = exchanged(first, second, CHANNELS)
    assert one[0, :, 0, 0].tolist() == [1, 0, 1]
    assert other[0, :, 0, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize("axis", [CHANNELS, COLUMNS])
def test_a_second_exchange_undoes_the_first(axis: int) -> None:
    first, second = torch.rand(2, 2, 3, 4, 5)
    one, other = exchanged(*exchanged(first, second, axis), axis)
    assert torch.equal(one, first)
    assert torch.equal(other, second)


def test_equal_dates_have_nothing_to_exchange(built: Any, pair: Any) -> None:
    detector, (images, other) = built(NAME), pair(32, 64)
    with torch.inference_mode():
        plain = detector.backbone(images)
        alone = detector._interacting(images, images)
        mixed = detector._interacting(images, other)
    for level, both in zip(plain, alone, strict=True):
        torch.testing.assert_close(both[0], level, atol=1e-4, rtol=1e-4)
        assert torch.equal(*both)
    torch.testing.assert_close(mixed[0][0], plain[0], atol=1e-4, rtol=1e-4)
    odd, even = slice(1, None, 2), slice(0, None, 2)
    second_level = mixed[1][0]
    torch.testing.assert_close(second_level[..., odd], plain[1][..., odd], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(second_level[..., even], plain[1][..., even], atol=1e-2)


def test_features_move_along_their_flow() -> None:
    """One pixel is 2 / (w - 1) of the frame, and a flow counts in w-ths of its half."""
    x = torch.rand(2, 3, 4, 6)
    still = torch.zeros(2, 2, 4, 6)
    torch.testing.assert_close(moved(x, still), x)
    right, down = still.clone(), still.clone()
    right[:, 0] = 2 * 6 / 5
    down[:, 1] = 2 * 4 / 3
    nothing = torch.zeros(2, 3, 4, 1)
    torch.testing.assert_close(moved(x, right), torch.cat([x[..., 1:], nothing], 3))
    torch.testing.assert_close(moved(x, down)[..., :3, :], x[..., 1:, :])


def test_without_flow_the_differences_remain() -> None:
    align = DualAlignment(4)
    first, second = torch.rand(2, 1, 4, 5, 6)
    with torch.inference_mode():
        align.flow[3].weight.zero_()
        both = align(first, second)
    torch.testing.assert_close(both, torch.cat([first - second, second - first], 1))


def bce(logits: Tensor, label: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits[:, 0], label)
