from copy import deepcopy
from typing import Any

import torch

from terradelta.detectors.bit import Layer


def test_tokens_are_means_over_the_image(built: Any) -> None:
    constant = torch.randn(1, 32, 1, 1).expand(1, 32, 6, 9)
    tokens = built("bit")._tokens(constant)
    torch.testing.assert_close(tokens, constant[:, :, 0, 0].unsqueeze(1).expand(1, 4, 32))


def test_only_the_positions_of_tokens_tell_the_dates_apart(built: Any, pair: Any) -> None:
    before, after = pair(16, 24)
    network = deepcopy(built("bit"))
    with torch.inference_mode():
        assert not torch.allclose(network(before, after), network(after, before), atol=1e-4)
        network.position[:, 4:] = network.position[:, :4]
        torch.testing.assert_close(network(before, after), network(after, before))


def test_features_are_at_a_quarter_and_undilated(built: Any, pair: Any) -> None:
    network = built("bit")
    with torch.inference_mode():
        assert network.backbone(pair(32, 48)[0])[0].shape == (1, 256, 4, 6)
        assert network._features(pair(32, 48)[0]).shape == (1, 32, 8, 12)
    convolutions = [
        module for module in network.backbone.modules() if isinstance(module, torch.nn.Conv2d)
    ]
    assert {convolution.dilation for convolution in convolutions} == {(1, 1)}


def test_layer_by_hand() -> None:
    """Eight heads of two channels; products over the root of the 32 channels."""
    torch.manual_seed(0)
    layer = Layer(2)
    x, words = torch.randn(1, 5, 32), torch.randn(1, 3, 32)
    with torch.inference_mode():
        query = layer.query(layer.norm(x)).view(5, 8, 2)
        key, value = (f(layer.norm(words)).view(3, 8, 2) for f in (layer.key, layer.value))
        weights = torch.einsum("nhc,mhc->hnm", query, key).div(32**0.5).softmax(-1)
        heard = torch.einsum("hnm,mhc->nhc", weights, value).reshape(1, 5, 16)
        attended = x + layer.out(heard)
        torch.testing.assert_close(layer(x, words), attended + layer.feed(attended))
