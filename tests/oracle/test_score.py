import numpy as np
import pytest
import torch
from torch import nn

from terradelta.oracle.score import ScoreNetwork


def test_its_layers_are_those_of_appendix_c1() -> None:
    network = ScoreNetwork(256)
    kinds = [
        type(layer).__name__
        for part in (network.mlp, [network.enlarge[0]], network.between, [network.enlarge[1]])
        for layer in part
    ]
    assert kinds == [
        "Linear", "LayerNorm", "GELU", "Linear", "LayerNorm",
        "ConvTranspose2d", "LayerNorm", "GELU", "ConvTranspose2d",
    ]  # fmt: skip
    assert [type(layer) for layer in network.finish] == [nn.Linear, nn.LayerNorm] * 2
    # By hand: two linear layers and norms of 256; 256 to 64 and 64 to 32 by 2 x 2; of 32 again two; 33.
    blocks = 2 * (256 * 256 + 256 + 512), 256 * 64 * 4 + 64 + 128, 64 * 32 * 4 + 32
    finish = 2 * (32 * 32 + 32 + 64) + 33
    assert sum(weight.numel() for weight in network.parameters()) == sum(blocks) + finish


def test_it_enlarges_by_4_and_every_cell_stands_for_itself() -> None:
    network, z = ScoreNetwork(16).eval(), torch.randn(1, 16, 3, 5)
    with torch.inference_mode():
        features = network.features(z)
        assert features.shape == (1, 2, 12, 20)
        torch.testing.assert_close(network.features(z[..., 1:2, 2:3]), features[..., 4:8, 8:12])


def test_the_order_of_the_dates_does_not_matter() -> None:
    network = ScoreNetwork(16).eval()
    before, after = torch.randn(2, 1, 2, 4, 4)
    with torch.inference_mode():
        assert torch.equal(network(before, after), network(after, before))
        same = network(before, before)
    torch.testing.assert_close(same, network.score.bias.expand_as(same))


def test_the_angle_is_the_one_whose_negative_cosine_is_the_score() -> None:
    network = ScoreNetwork(16)
    before, after = torch.randn(2, 50, 2, dtype=torch.float64)
    angle = network.angles(before.numpy(), after.numpy())
    with torch.inference_mode():
        logits = network(*(means.float().T[None, :, None] for means in (before, after)))
    score = 2 * logits[0, 0, 0].sigmoid() - 1
    np.testing.assert_allclose(-np.cos(np.radians(angle)), score.numpy(), atol=1e-5)


@pytest.mark.parametrize(("logit", "angle"), [(0, 90), (1e6, 180), (-1e6, 0), (np.log(3), 120)])
def test_angles_by_hand(logit: float, angle: float) -> None:
    """Of a chance of 3/4, the logit of which is log 3, the score is 1/2: 120 degrees."""
    network = ScoreNetwork(16)
    with torch.no_grad():
        network.score.weight.copy_(torch.tensor([[1.0, 0.0]]))
        network.score.bias.fill_(float(logit) - 2)
    found = network.angles(np.array([[1.0, 5.0]]), np.array([[-1.0, 7.0]]))
    assert found.dtype == np.float32
    assert found == pytest.approx([angle], abs=1e-3)
