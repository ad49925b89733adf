import math

import pytest
import torch
from torch.nn import functional

from terradelta.train.losses import IGNORED, bce, criterion, cross_entropy, dice


def test_smoothing_moves_labels_to_02_and_08() -> None:
    label = torch.tensor([[[0.0, 1.0]]])
    at_rest = torch.log(torch.tensor([[[[0.2 / 0.8, 0.8 / 0.2]]]])).requires_grad_()
    loss = bce(at_rest, label, 0.4)
    entropy = -(0.2 * math.log(0.2) + 0.8 * math.log(0.8))
    assert loss.item() == pytest.approx(entropy, rel=1e-6)
    loss.backward()
    assert at_rest.grad is not None
    assert at_rest.grad.abs().max() < 1e-7  # the least that the smoothed labels allow


def test_soft_labels_are_their_own_targets() -> None:
    logits = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    label = torch.rand(2, 4, 5, generator=torch.Generator().manual_seed(1))
    expected = functional.binary_cross_entropy_with_logits(logits[:, 0], label)
    assert torch.allclose(bce(logits, label), expected)


def test_dice_by_hand() -> None:
    logits = torch.tensor([[[[0.0, 0.0, -100.0, 100.0]]]])
    label = torch.tensor([[[1.0, 0.0, 0.0, 1.0]]])
    # P = (1/2, 1/2, 0, 1): overlap 1.5, sums 2 and 2.
    assert dice(logits, label).item() == pytest.approx(1 - (2 * 1.5 + 1) / (2 + 2 + 1))


def test_cross_entropy_of_two_classes_is_the_binary_one_of_their_difference() -> None:
    logits = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    label = torch.randint(2, (2, 3, 3), generator=torch.Generator().manual_seed(1))
    for smoothing in (0.0, 0.4):
        binary = bce(logits[:, 1:] - logits[:, :1], label.float(), smoothing)
        assert torch.allclose(cross_entropy(logits, label.to(torch.uint8), smoothing), binary)


@pytest.mark.parametrize(("term", "classes"), [(bce, 1), (dice, 1), (cross_entropy, 3)])
def test_ignored_pixels_count_nowhere(term, classes: int) -> None:  # type: ignore[no-untyped-def]
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(1, classes, 4, 6, generator=random)
    label = torch.randint(max(classes, 2), (1, 4, 6), generator=random).float()
    part = term(logits[..., :3], label[..., :3], 0.1)
    label[..., 3:] = IGNORED
    assert torch.allclose(term(logits, label, 0.1), part)
    logits.requires_grad_()
    term(logits, label, 0.1).backward()
    assert logits.grad is not None
    assert not logits.grad[..., 3:].any()
    assert term(logits, torch.full_like(label, IGNORED), 0.1).item() == 0


def test_terms_are_added_and_own_is_left_to_the_detector() -> None:
    logits, label = torch.zeros(1, 1, 2, 2), torch.ones(1, 2, 2)
    both = criterion(["bce", "dice"])
    assert both is not None
    # bce: log 2; dice: P is 1/2 on 4 pixels, all of them changed.
    assert both(logits, label).item() == pytest.approx(math.log(2) + 1 - 5 / 7)
    assert criterion(["own"]) is None
