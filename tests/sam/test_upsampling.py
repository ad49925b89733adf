import pytest
import torch
from torch.nn import functional

from terradelta.sam.upsampling import EnlargedLogits


def smooth_logits(count: int, height: int, width: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(count)
    coarse = torch.randn((1, count, 5, 5), generator=random)
    smooth = functional.interpolate(coarse, (height, width), mode="bicubic")[0]
    return smooth * 4 + 0.1 * torch.randn((count, height, width), generator=random)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("cut", [(1.0, 1.0), (0.6, 1.0), (1.0, 0.37)])
@pytest.mark.parametrize("threshold", [-1.0, 0.0, 1.0])
def test_areas_and_pixels_are_those_of_enlarging_everything(
    factor: int, cut: tuple[float, float], threshold: float
) -> None:
    logits = smooth_logits(3, 20, 24)
    size = 20 * factor, 24 * factor
    shape = int(size[0] * cut[0]), int(size[1] * cut[1])
    whole = functional.interpolate(logits[None], size, mode="bilinear")[0]
    expected = whole[:, : shape[0], : shape[1]] > threshold
    enlarged = EnlargedLogits.of(logits, factor, shape)
    assert 0 < expected.sum() < expected.numel()
    torch.testing.assert_close(enlarged.above(threshold), expected)
    torch.testing.assert_close(enlarged.areas_above(threshold), expected.flatten(1).sum(1))


def test_some_masks_can_be_chosen() -> None:
    enlarged = EnlargedLogits.of(smooth_logits(4, 8, 8), 4, (32, 30))
    chosen = torch.tensor([2, 0])
    torch.testing.assert_close(enlarged[chosen].above(0.5), enlarged.above(0.5)[chosen])


def test_no_masks_have_no_areas() -> None:
    enlarged = EnlargedLogits.of(torch.zeros((0, 8, 8)), 4, (32, 32))
    assert enlarged.areas_above(0.0).shape == (0,)
    assert enlarged.above(0.0).shape == (0, 32, 32)
