from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from terradelta.detectors import build_detector
from terradelta.detectors.snunet import ChannelAttention, SnuNet
from terradelta.errors import UsageError


def test_nodes_by_their_definition(pair: Any) -> None:
    """Node (i, j) hears both dates, the nodes before it and the enlarged node below, by recursion."""
    torch.manual_seed(0)
    network = build_detector("snunet", channels=4).eval()
    assert isinstance(network, SnuNet)
    before, after = pair(32, 16)

    def encoder(x: Tensor, scale: int) -> Tensor:
        if scale:
            x = functional.max_pool2d(encoder(x, scale - 1), 2)
        return network.encoder[scale](x)  # type: ignore[no-any-return]

    def node(scale: int, nesting: int) -> Tensor:
        if nesting == 0:
            return encoder(after, scale)
        row = [node(scale, k) for k in range(1, nesting)]
        below = network.enlarge[f"{scale}-{nesting}"](node(scale + 1, nesting - 1))
        seen = torch.cat([encoder(before, scale), encoder(after, scale), *row, below], 1)
        return network.nodes[f"{scale}-{nesting}"](seen)  # type: ignore[no-any-return]

    with torch.inference_mode():
        outputs = [node(0, nesting) for nesting in (1, 2, 3, 4)]
        together, total = torch.cat(outputs, 1), sum(outputs[1:], outputs[0])
        own = torch.cat([network.within(total)] * 4, 1)
        expected = network.head(network.between(together) * (together + own))
        torch.testing.assert_close(network(before, after), expected)


def test_attention_of_a_constant_image() -> None:
    """Mean and maximum are the same, so the weight is the sigmoid of twice what either gives."""
    torch.manual_seed(0)
    attention = ChannelAttention(16, 4)
    constant = torch.randn(2, 16, 1, 1)
    weights = attention(constant.expand(2, 16, 5, 7))
    torch.testing.assert_close(weights, torch.sigmoid(2 * attention.weigh(constant)))
    assert weights.shape == (2, 16, 1, 1)


def test_channels_out_of_range() -> None:
    with pytest.raises(UsageError, match="channels is 0"):
        build_detector("snunet", channels=0)
