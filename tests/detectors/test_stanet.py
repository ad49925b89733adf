from typing import Any

import pytest
import torch

from terradelta.detectors import build_detector, stanet
from terradelta.detectors.stanet import MARGIN, TINY, Attention, StaNet, contrastive_loss
from terradelta.errors import UsageError


def attention(cells: int, channels: int = 16) -> Attention:
    torch.manual_seed(0)
    module = Attention(channels, cells).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(0, 0.7)
    return module


@pytest.mark.parametrize("cells", [1, 2, 4])
def test_attention_is_among_both_dates_within_a_cell(cells: int) -> None:
    module, side = attention(cells), 8 // cells
    both = torch.randn(2, 16, 2, 8, 8)
    expected = torch.empty_like(both)
    with torch.inference_mode():
        query, key, value = (layer(both) for layer in (module.query, module.key, module.value))
        for row in range(0, 8, side):
            for column in range(0, 8, side):
                cell = ..., slice(None), slice(row, row + side), slice(column, column + side)
                q, k, v = (x[cell].flatten(2) for x in (query, key, value))
                weights = (q.mT @ k / 2**0.5).softmax(-1)
                expected[cell] = (v @ weights.mT).view(2, 16, 2, side, side)
        torch.testing.assert_close(module(both), expected, atol=1e-5, rtol=1e-4)


def test_attention_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    module, both = attention(2), torch.randn(1, 16, 2, 8, 8)
    with torch.inference_mode():
        whole = module(both)
        monkeypatch.setattr(stanet, "PRODUCTS", 5 * both[:, 0].numel())
        torch.testing.assert_close(module(both), whole)


def test_loss_by_hand() -> None:
    """Unchanged at 0.5: 0.25. Changed at 3 and 1, with a margin of 2: 0 and 1, in the mean 0.5."""
    distance = torch.tensor([[[0.5, 3.0, 1.0]]])
    assert contrastive_loss(distance, torch.tensor([[[0.0, 1, 1]]])) == (0.25 + 0.5) / 2
    assert contrastive_loss(distance, torch.ones(1, 1, 3)) == pytest.approx((2.25 + 0 + 1) / 3 / 2)
    soft = contrastive_loss(torch.tensor([[[1.0, 1.0]]]), torch.tensor([[[0.25, 0.75]]]))
    assert soft == 1.0


def test_few_changed_pixels_weigh_as_much_as_all_others() -> None:
    distance, label = torch.ones(1, 10, 10), torch.zeros(1, 10, 10)
    label[0, 0, 0] = 1
    distance.requires_grad_()
    contrastive_loss(distance, label).backward()
    slope = distance.grad
    assert slope is not None
    torch.testing.assert_close(-slope[0, 0, 0], slope[label == 0].sum())


def test_logits_are_the_difference_of_both_costs(built: Any, pair: Any) -> None:
    before, after = pair(32, 32)
    network = built("stanet")
    with torch.inference_mode():
        distance, logits = network.distance(before, after), network(before, after)
    expected = torch.where(distance < MARGIN, 4 * (distance - 1), distance**2)
    torch.testing.assert_close(logits, expected)
    assert ((logits > 0) == (distance > 1)).all()


def test_equal_dates_are_unchanged_and_have_a_slope(pair: Any) -> None:
    before, _ = pair(32, 32, batch=2)
    network = build_detector("stanet").eval()
    torch.testing.assert_close(
        network.distance(before, before), torch.full((2, 1, 32, 32), TINY**0.5)
    )
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    network.loss(before, before, torch.zeros(2, 32, 32), None).backward()
    assert all(weight.grad.isfinite().all() for weight in network.parameters())


def test_its_own_loss_is_that_of_the_distance(built: Any, pair: Any) -> None:
    before, after = pair(20, 30)
    label = (torch.arange(30) > 12).float().expand(1, 20, 30)
    network = built("stanet")
    with torch.inference_mode():
        logits = network(before, after)[:, 0]
        distance = torch.where(logits < 4, 1 + logits / 4, logits.clamp(min=0).sqrt())
        loss = network.loss(before, after, label, None)
        torch.testing.assert_close(loss, contrastive_loss(distance, label), atol=1e-5, rtol=1e-4)


def test_its_own_loss_refuses_dates_of_two_sizes(built: Any, pair: Any) -> None:
    before, after = pair(20, 30)
    with pytest.raises(UsageError, match="of one size"):
        built("stanet").loss(before, after[..., :-1], torch.zeros(1, 20, 30), None)


def test_last_stage_has_a_third_block_and_growing_dilation(built: Any) -> None:
    network = built("stanet")
    assert isinstance(network, StaNet)
    stage = network.backbone.body["layer4"]
    assert [block.conv1.dilation for block in stage] == [(1, 1), (2, 2), (4, 4)]
    assert {block.conv2.dilation for block in stage} == {(1, 1)}


def test_one_distance_tells_no_classes() -> None:
    with pytest.raises(UsageError, match="classes must be 1"):
        build_detector("stanet", classes=2)
