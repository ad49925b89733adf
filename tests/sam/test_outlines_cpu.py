import numpy as np
import pytest
import torch
from torch.nn import functional

from terradelta.sam.masks import Masks
from terradelta.sam.outlines_cpu import outlines

OFFSETS = 1.0, -1.0


def smooth_logits(count: int, height: int, width: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(count)
    coarse = torch.randn((1, count, 5, 5), generator=random)
    smooth = functional.interpolate(coarse, (height, width), mode="bicubic")[0]
    return smooth * 4 + 0.3 * torch.randn((count, height, width), generator=random)


def plain(
    logits: torch.Tensor, factor: int, shape: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks bool [M, H, W] and their stability, by enlarging everything."""
    size = logits.shape[1] * factor, logits.shape[2] * factor
    whole = functional.interpolate(logits[None], size, mode="bilinear")[0]
    whole = whole[:, : shape[0], : shape[1]]
    inner, outer = ((whole > offset).flatten(1).sum(1) for offset in OFFSETS)
    return whole > 0, inner / outer


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("cut", [(1.0, 1.0), (0.6, 1.0), (1.0, 0.37)])
def test_masks_are_those_of_enlarging_everything(factor: int, cut: tuple[float, float]) -> None:
    logits = smooth_logits(3, 20, 24)
    shape = int(20 * factor * cut[0]), int(24 * factor * cut[1])
    expected, stability = plain(logits, factor, shape)
    masks, found, kept = outlines(logits, factor, shape, OFFSETS, 0.0)
    assert 0 < expected.sum() < expected.numel()
    np.testing.assert_array_equal(masks.dense(), expected.numpy())
    torch.testing.assert_close(found, stability)
    assert kept.tolist() == [0, 1, 2]
    whole = Masks.from_dense(expected)
    np.testing.assert_array_equal(masks.start, whole.start)
    np.testing.assert_array_equal(masks.stop, whole.stop)


def test_only_stable_masks_that_are_not_empty_are_kept() -> None:
    empty, faint = torch.full((8, 8), -9.0), torch.full((8, 8), -9.0)
    faint[2:6, 2:6] = -0.5
    sharp, soft = torch.full((8, 8), -9.0), torch.full((8, 8), -0.9)
    sharp[1:5, 3:7] = 9
    soft[4, 4] = 3
    logits = torch.stack([empty, faint, sharp, soft])
    masks, stability, kept = outlines(logits, 4, (32, 32), OFFSETS, 0.5)
    assert kept.tolist() == [2]
    assert len(masks) == len(stability) == 1
    _, _, every = outlines(logits, 4, (32, 32), OFFSETS, 0.0)
    assert every.tolist() == [2, 3]


def test_more_runs_than_expected_are_held() -> None:
    rows = torch.where(torch.arange(16) % 2 == 0, 5.0, -5.0)
    logits = rows[None, :, None].expand(2, 16, 16)
    masks, _, _ = outlines(logits, 2, (32, 32), OFFSETS, 0.0)
    np.testing.assert_array_equal(masks.dense(), plain(logits, 2, (32, 32))[0].numpy())
    assert masks.runs_per_mask.tolist() == [8 * 32] * 2


def test_no_logits_are_no_masks() -> None:
    masks, stability, kept = outlines(torch.zeros((0, 8, 8)), 4, (32, 32), OFFSETS, 0.0)
    assert len(masks) == len(stability) == len(kept) == 0
