"""The folded decoder against the plain one of transformers, in float64 on random weights."""

from typing import Any

import pytest
import torch
from transformers import SamConfig, SamModel

from terradelta.errors import ModelError
from terradelta.sam.decoder import FoldedDecoder, _LowRank, _normalised

CHANNELS, CELLS, POINTS = 64, 16, 5
EXACT = {"atol": 1e-9, "rtol": 0}


def random_network(layers: int = 2) -> SamModel:
    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "image_size": 16 * CELLS,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "mlp_dim": 32,
            "output_channels": CHANNELS,
            "num_pos_feats": CHANNELS // 2,
            "global_attn_indexes": [0],
        },
        prompt_encoder_config={"hidden_size": CHANNELS, "image_size": 16 * CELLS},
        mask_decoder_config={
            "hidden_size": CHANNELS,
            "mlp_dim": 128,
            "num_hidden_layers": layers,
            "iou_head_hidden_dim": CHANNELS,
        },
    )
    torch.manual_seed(0)
    network = SamModel(config).double().eval()
    with torch.no_grad():
        for weight in network.parameters():
            spread = 1.5 * weight[0].numel() ** -0.5 if weight.dim() > 1 else 0.3
            weight.add_(torch.randn_like(weight) * spread)
    return network


@pytest.fixture(scope="module")
def network() -> SamModel:
    return random_network()


@pytest.fixture(scope="module")
def embedding() -> torch.Tensor:
    return torch.randn((1, CHANNELS, CELLS, CELLS), dtype=torch.float64)


@pytest.fixture(scope="module")
def prompts(network: SamModel) -> torch.Tensor:
    with torch.inference_mode():
        sparse, _ = network.prompt_encoder(
            input_points=torch.rand((1, POINTS, 1, 2), dtype=torch.float64) * 16 * CELLS,
            input_labels=torch.ones((1, POINTS, 1), dtype=torch.int),
            input_boxes=None,
            input_masks=None,
        )
    return sparse[0]


@pytest.fixture(scope="module")
def plain(network: SamModel, embedding: torch.Tensor, prompts: torch.Tensor) -> dict[str, Any]:
    """Logits and predicted IoU of the plain decoder, and what its layers hand on."""
    seen: dict[str, Any] = {}
    transformer = network.mask_decoder.transformer
    hooks = [
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        for name, module in (
            ("first", transformer.layers[0]),
            ("second", transformer.layers[1]),
            ("final", transformer),
        )
    ]
    with torch.inference_mode():
        dense = network.prompt_encoder.no_mask_embed.weight.view(1, -1, 1, 1)
        seen["logits"], seen["iou"] = network.mask_decoder(
            image_embeddings=embedding,
            image_positional_embeddings=network.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=prompts[None],
            dense_prompt_embeddings=dense.expand_as(embedding),
            multimask_output=True,
        )
    for hook in hooks:
        hook.remove()
    return seen


@pytest.fixture(scope="module")
def folded(network: SamModel) -> FoldedDecoder:
    return FoldedDecoder(network)


@torch.inference_mode()
def test_the_first_layer_is_that_of_the_plain_decoder(
    network: SamModel,
    folded: FoldedDecoder,
    embedding: torch.Tensor,
    prompts: torch.Tensor,
    plain: dict[str, Any],
) -> None:
    decoder = network.mask_decoder
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(POINTS, -1, -1), prompts], 1)
    queries, cells, _ = folded._first_layer(folded.share(embedding), tokens)
    torch.testing.assert_close(queries, plain["first"][0][0], **EXACT)
    torch.testing.assert_close(cells, plain["first"][1].view_as(cells), **EXACT)


@torch.inference_mode()
def test_the_second_layer_is_that_of_the_plain_decoder(
    network: SamModel,
    folded: FoldedDecoder,
    embedding: torch.Tensor,
    prompts: torch.Tensor,
    plain: dict[str, Any],
) -> None:
    decoder = network.mask_decoder
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(POINTS, -1, -1), prompts], 1)
    shared = folded.share(embedding)
    first = folded._first_layer(shared, tokens)
    queries, cells = folded._second_layer(shared, tokens, *first)
    torch.testing.assert_close(queries, plain["second"][0][0], **EXACT)
    torch.testing.assert_close(cells, plain["second"][1].view_as(cells), **EXACT)


@torch.inference_mode()
def test_predicted_iou_and_masks_are_those_of_the_plain_decoder(
    folded: FoldedDecoder, embedding: torch.Tensor, prompts: torch.Tensor, plain: dict[str, Any]
) -> None:
    shared = folded.share(embedding)
    decoded = folded.decode(shared, prompts)
    torch.testing.assert_close(decoded.iou, plain["iou"][0], **EXACT)
    torch.testing.assert_close(folded.masks(shared, decoded), plain["logits"][0], **EXACT)


@torch.inference_mode()
def test_masks_can_be_made_for_some_points_only(
    folded: FoldedDecoder, embedding: torch.Tensor, prompts: torch.Tensor, plain: dict[str, Any]
) -> None:
    shared = folded.share(embedding)
    some = torch.tensor([3, 1])
    logits = folded.masks(shared, folded.decode(shared, prompts)[some])
    torch.testing.assert_close(logits, plain["logits"][0][some], **EXACT)


@torch.inference_mode()
def test_the_low_rank_form_is_the_projection_of_the_normalised_cells(
    network: SamModel, folded: FoldedDecoder, embedding: torch.Tensor
) -> None:
    layer = network.mask_decoder.transformer.layers[0]
    attention, heads = layer.cross_attn_image_to_token, folded._heads
    shared = folded.share(embedding)
    weights = torch.rand((1, heads * 7, CELLS**2), dtype=torch.float64)
    tokens = torch.randn((1, heads, 7, CHANNELS // 2 // heads), dtype=torch.float64)
    cells = shared.residual[None] + weights.mT @ folded._projected(tokens, attention)
    cells, mean, rstd = _normalised(cells, layer.layer_norm4)
    low_rank = _LowRank(weights, tokens, mean.mT, rstd.mT)
    asking = torch.randn_like(tokens)
    projection = network.mask_decoder.transformer.layers[1].cross_attn_token_to_image.k_proj
    expected = asking @ folded._split(projection(cells + shared.position)).mT
    found = folded._against(asking, shared.key1, shared.key1_offset, folded._key1, low_rank)
    torch.testing.assert_close(found, expected, **EXACT)


def test_a_decoder_of_another_depth_is_refused() -> None:
    with pytest.raises(ModelError, match="2 layers, that of these weights has 3"):
        FoldedDecoder(random_network(layers=3))
