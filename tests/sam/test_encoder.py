import copy

import pytest
import torch
from transformers import SamConfig, SamModel

from terradelta.sam import encoder
from terradelta.sam.encoder import RelativeAttention, speed_up_encoder


@pytest.fixture(scope="module")
def network() -> SamModel:
    """A windowed and a global layer whose relative positions matter."""
    vision = {
        "hidden_size": 48,
        "image_size": 160,
        "num_hidden_layers": 2,
        "num_attention_heads": 3,
        "mlp_dim": 48,
        "output_channels": 32,
        "num_pos_feats": 16,
        "window_size": 7,
        "global_attn_indexes": [1],
    }
    prompt = {"hidden_size": 32, "image_size": 160}
    decoder = {"hidden_size": 32, "mlp_dim": 32, "iou_head_hidden_dim": 32}
    torch.manual_seed(0)
    config = SamConfig(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder
    )
    network = SamModel(config).double().eval()
    with torch.no_grad():
        for weight in network.vision_encoder.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return network


@pytest.mark.parametrize("elements", [1, 5000, 1 << 22])
@torch.inference_mode()
def test_pieces_of_any_size_give_what_the_plain_attention_gives(
    network: SamModel, monkeypatch: pytest.MonkeyPatch, elements: int
) -> None:
    monkeypatch.setitem(encoder.BIAS_ELEMENTS, "cpu", elements)
    pixels = torch.randn((2, 3, 160, 160), dtype=torch.float64)
    fast = copy.deepcopy(network)
    speed_up_encoder(fast)
    expected = network.vision_encoder(pixels).last_hidden_state
    found = fast.vision_encoder(pixels).last_hidden_state
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


def test_it_is_done_once_and_shares_the_weights(network: SamModel) -> None:
    fast = copy.deepcopy(network)
    before = {name: weight.data_ptr() for name, weight in fast.named_parameters()}
    speed_up_encoder(fast)
    once = [layer.attn for layer in fast.vision_encoder.layers]
    speed_up_encoder(fast)
    assert [layer.attn for layer in fast.vision_encoder.layers] == once
    assert all(isinstance(attention, RelativeAttention) for attention in once)
    assert {name: weight.data_ptr() for name, weight in fast.named_parameters()} == before
