from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from terradelta.detectors import DETECTORS, Detector, build_detector, normalise
from terradelta.detectors.detector import enlarged, mirrored
from terradelta.errors import UsageError

SMALL = {"snunet": {"channels": 16}}
CHANGESTARS = {"changestar-1x96-r18", "changestar-1x96-mitb1", "changestar-1x256-r50"}
SYMMETRIC = {"fc-siam-diff", "stanet", "cdnet", *CHANGESTARS}


class Toy(Detector):
    """Answers the sum of all channels; in training also its double, with a weight of 0.25."""

    multiple = 4

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        self.seen = [before, after]
        return (before + after).sum(1, keepdim=True)

    def weighted_logits(self, before: Tensor, after: Tensor) -> list[tuple[Tensor, float]]:
        main = self.logits(before, after)
        return [(main, 1.0), (2 * main, 0.25)]


def test_normalised_pixels_are_those_of_imagenet() -> None:
    pixels = torch.tensor([[0, 255], [0, 255], [0, 255]], dtype=torch.uint8).view(3, 1, 2)
    low, high = normalise(pixels)[:, 0].T
    np.testing.assert_allclose(low, [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-6)
    np.testing.assert_allclose(high, [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225], rtol=1e-6)
    assert normalise(pixels[None]).dtype == torch.float32


def test_images_are_mirrored_again_and_again() -> None:
    row = torch.tensor([[1.0, 2, 3]])
    assert mirrored(row, 8)[0].tolist() == [1, 2, 3, 3, 2, 1, 1, 2]
    assert mirrored(row, 8).shape == (8, 8)
    assert mirrored(torch.full((1, 3, 1, 1), 7.0), 16).eq(7).all()
    whole = torch.rand(2, 3, 8, 16)
    assert mirrored(whole, 8) is whole


def test_features_are_enlarged_by_the_half_pixel_convention() -> None:
    features = torch.tensor([[[[0.0, 1.0]]]])
    assert enlarged(features, (1, 4))[0, 0, 0].tolist() == [0, 0.25, 0.75, 1]


def test_networks_see_multiples_and_answer_for_the_image(pair: Any) -> None:
    before, after = pair(5, 6)
    toy = Toy()
    logits = toy(before, after)
    assert [tuple(images.shape) for images in toy.seen] == [(1, 3, 8, 8)] * 2
    torch.testing.assert_close(toy.seen[0][..., :5, :6], before)
    torch.testing.assert_close(logits, (before + after).sum(1, keepdim=True))


def test_loss_adds_weighted_outputs(pair: Any) -> None:
    before, after = pair(5, 6)
    outputs = Toy().training_outputs(before, after)
    assert [tuple(logits.shape) for logits, _ in outputs] == [(1, 1, 5, 6)] * 2
    label = torch.zeros(1, 5, 6)
    loss = Toy().loss(before, after, label, lambda logits, label: (logits[:, 0] - label).mean())
    main = (before + after).sum(1).mean()
    torch.testing.assert_close(loss, main + 0.25 * 2 * main)


def test_no_loss_of_its_own(pair: Any) -> None:
    with pytest.raises(UsageError, match="no loss of its own"):
        Toy().loss(*pair(4, 4), torch.zeros(1, 4, 4), None)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5), r"\(1, 3, 4, 4\) and \(1, 3, 4, 5\)"),
        (torch.zeros(2, 3, 4, 4), torch.zeros(1, 3, 4, 4), "of one size"),
        (torch.zeros(3, 4, 4), torch.zeros(3, 4, 4), "of one size"),
        (torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 4, 4), "of one size"),
        (torch.zeros(1, 3, 0, 4), torch.zeros(1, 3, 0, 4), "of one size"),
        (torch.zeros(1, 3, 4, 4).byte(), torch.zeros(1, 3, 4, 4).byte(), "normalise"),
    ],
)
def test_what_is_no_pair_is_refused(before: Tensor, after: Tensor, message: str) -> None:
    for call in (Toy(), Toy().training_outputs):
        with pytest.raises(UsageError, match=message):
            call(before, after)


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("size", [(1, 1), (37, 53)])
def test_any_size(name: str, size: tuple[int, int], built: Any, pair: Any) -> None:
    with torch.inference_mode():
        logits = built(name)(*pair(*size))
    assert logits.shape == (1, 1, *size)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_a_large_image_and_its_window_agree_far_from_the_edge(built: Any, pair: Any) -> None:
    """FC-Siam-diff sees 76 px to each side at most: what lies beyond changes nothing."""
    before, after = pair(64, 256)
    with torch.inference_mode():
        whole = built("fc-siam-diff")(before, after)
        part = built("fc-siam-diff")(before[..., :128], after[..., :128])
    torch.testing.assert_close(part[..., :48], whole[..., :48], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", DETECTORS)
def test_swapped_dates(name: str, built: Any, pair: Any) -> None:
    before, after = pair(32, 64)
    with torch.inference_mode():
        forth, back = built(name)(before, after), built(name)(after, before)
    assert torch.allclose(forth, back, atol=1e-4, rtol=1e-4) == built(name).symmetric
    assert built(name).symmetric == (name in SYMMETRIC)


@pytest.mark.parametrize("name", DETECTORS)
def test_images_of_a_batch_do_not_see_each_other(name: str, built: Any, pair: Any) -> None:
    before, after = pair(32, 32, batch=2)
    with torch.inference_mode():
        both, second = built(name)(before, after), built(name)(before[1:], after[1:])
    torch.testing.assert_close(both[1:], second, atol=1e-5 * float(second.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("name", DETECTORS)
def test_gradients_reach_every_parameter(name: str, pair: Any) -> None:
    torch.manual_seed(0)
    detector = noisy(build_detector(name, **SMALL.get(name, {}))).train()
    label = (torch.rand(2, 32, 64, generator=torch.Generator().manual_seed(2)) > 0.5).float()
    detector.loss(*pair(32, 64, batch=2), label, bce).backward()
    for weight_name, weight in detector.named_parameters():
        assert weight.grad is not None, weight_name
        assert weight.grad.isfinite().all(), weight_name
        assert weight.dim() == 1 or weight.grad.abs().max() > 0, weight_name


@pytest.mark.parametrize("name", DETECTORS)
def test_a_step_makes_the_loss_smaller(name: str, pair: Any) -> None:
    """The same is dropped in both, so that both losses are of one network; statistics of so small a batch
    bend the loss too much for a larger step."""
    torch.manual_seed(0)
    detector = build_detector(name, **SMALL.get(name, {})).train().double()
    before, after = (date.double() for date in pair(32, 32, batch=2))
    label = (torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(2)) > 0.5).double()
    optimizer = torch.optim.SGD(detector.parameters(), lr=1e-6)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        torch.manual_seed(1)
        loss = detector.loss(before, after, label, bce)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


@pytest.mark.parametrize("name", DETECTORS)
def test_mixed_precision(name: str, built: Any, pair: Any) -> None:
    before, after = pair(32, 32)
    with torch.inference_mode():
        exact = built(name)(before, after)
        with torch.autocast("cpu", torch.bfloat16):
            rough = built(name)(before, after).float()
    assert rough.isfinite().all()
    assert (rough - exact).abs().mean() < 0.15 * (1 + exact.abs().mean())


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "stanet"])
def test_more_classes(name: str, pair: Any) -> None:
    detector = build_detector(name, classes=3).eval()
    with torch.inference_mode():
        assert detector(*pair(32, 32)).shape == (1, 3, 32, 32)
    assert detector.classes == 3


def bce(logits: Tensor, label: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits[:, 0], label)


def noisy(detector: Detector) -> Detector:
    """No weight is exactly 0, as some are at the start."""
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in detector.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=random))
    return detector
