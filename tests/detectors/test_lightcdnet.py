from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from terradelta.detectors import build_detector
from terradelta.detectors.lightcdnet import CrissCross, lightcdnet, shuffled
from terradelta.errors import UsageError

NAME = "lightcdnet"


@pytest.mark.parametrize(
    ("size", "millions", "giga"),
    [("small", 0.35, 1.65), ("base", 1.32, 3.22), ("large", 2.82, 5.94)],
)
def test_published_size_and_cost(size: str, millions: float, giga: float) -> None:
    """Table of Xing et al., 2023: multiply-adds of a pair of 256 px."""
    with torch.device("meta"):
        detector = lightcdnet(size=size).eval()
    count = sum(weight.numel() for weight in detector.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.005)
    images = torch.empty(1, 3, 256, 256, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        detector(images, images)
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, rel=0.02)


def test_fusion_is_supervised_as_well(pair: Any) -> None:
    detector = build_detector(NAME).eval()
    before, after = pair(37, 53)
    with torch.inference_mode():
        (main, one), (early, weight) = detector.training_outputs(before, after)
        assert torch.equal(main, detector(before, after))
    assert (one, weight) == (1.0, 0.4)
    assert early.shape == (1, 1, 37, 53)
    detector.training_outputs(before, after)[1][0].sum().backward()
    trained = {
        name.partition(".")[0]
        for name, weight in detector.named_parameters()
        if weight.grad is not None
    }
    assert trained == {"stem", "fusion", "auxiliary"}


def test_unknown_size() -> None:
    with pytest.raises(UsageError, match="unknown size 'huge'"):
        build_detector(NAME, size="huge")


def test_halves_are_interleaved() -> None:
    x = torch.arange(6).view(1, 6, 1, 1)
    assert shuffled(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (5, 1), (1, 1)])
def test_attention_to_row_and_column_position_by_position(shape: tuple[int, int]) -> None:
    attention = CrissCross(16)
    x = torch.randn(1, 16, *shape)
    height, width = shape
    with torch.inference_mode():
        attention.scale.fill_(0.7)
        query, key, value = attention.query(x), attention.key(x), attention.value(x)
        expected = x.clone()
        for row in range(height):
            for column in range(width):
                cross = {(i, column) for i in range(height)} | {(row, j) for j in range(width)}
                rows, columns = (list(axis) for axis in zip(*sorted(cross), strict=True))
                weights = (query[0, :, row, column] @ key[0][:, rows, columns]).softmax(0)
                expected[0, :, row, column] += 0.7 * (value[0][:, rows, columns] @ weights)
        torch.testing.assert_close(attention._attended(x), expected)


def test_attention_starts_as_identity_and_twice_reaches_all() -> None:
    attention = CrissCross(8)
    x = torch.randn(1, 8, 4, 5)
    with torch.inference_mode():
        assert torch.equal(attention(x), x)
        attention.scale.fill_(0.7)
        far = x.clone()
        far[0, :, 0, 0] += 3
        change = (attention(far) - attention(x)).abs().amax(1)
        once = (attention._attended(far) - attention._attended(x)).abs().amax(1)
    assert change.min() > 1e-6
    assert once[0, 1:, 1:].max() == 0


def bce(logits: Tensor, label: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits[:, 0], label)
