from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from terradelta.detectors import build_detector, load_detector, save_detector

NAME = "changeformer-mitb1"


def test_published_size(built: Any) -> None:
    count = sum(weight.numel() for weight in built(NAME).parameters())
    assert count / 1e6 == pytest.approx(13.94, abs=0.005)


@pytest.mark.parametrize("size", [(1, 1), (37, 53)])
def test_any_size(size: tuple[int, int], built: Any, pair: Any) -> None:
    with torch.inference_mode():
        logits = built(NAME)(*pair(*size))
    assert logits.shape == (1, 1, *size)
    assert logits.isfinite().all()


def test_the_order_of_the_dates_matters(built: Any, pair: Any) -> None:
    before, after = pair(32, 64)
    with torch.inference_mode():
        forth, back = built(NAME)(before, after), built(NAME)(after, before)
    assert not built(NAME).symmetric
    assert not torch.allclose(forth, back, atol=1e-3)


def test_images_of_a_batch_do_not_see_each_other(built: Any, pair: Any) -> None:
    """Both dates of all images go through the backbone as one batch."""
    before, after = pair(32, 64, batch=3)
    with torch.inference_mode():
        together = built(NAME)(before, after)
        alone = built(NAME)(before[1:2], after[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-4)


def test_gradients_reach_every_parameter(pair: Any) -> None:
    torch.manual_seed(0)
    detector = build_detector(NAME).train()
    detector.loss(*pair(32, 64, batch=2), torch.ones(2, 32, 64), bce).backward()
    for name, weight in detector.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
        assert weight.dim() == 1 or weight.grad.abs().max() > 0, name


def test_the_seed_decides(built: Any) -> None:
    weights = []
    for _ in range(2):
        torch.manual_seed(5)
        weights.append(build_detector(NAME).state_dict())
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert not torch.equal(weights[0]["head.1.weight"], built(NAME).state_dict()["head.1.weight"])


def test_saved_and_loaded(tmp_path: Path, pair: Any) -> None:
    detector = build_detector(NAME, classes=3).eval()
    again = load_detector(save_detector(detector, tmp_path))
    before, after = pair(37, 53)
    with torch.inference_mode():
        logits = again(before, after)
        assert torch.equal(logits, detector(before, after))
    assert logits.shape == (1, 3, 37, 53)


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
