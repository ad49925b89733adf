"""The folded decoder against the plain one of transformers, in float64 on random weights."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from transformers import SamConfig, SamModel

from terradelta.errors import ModelError
from terradelta.sam.cells import Update
from terradelta.sam.cells_cpu import CpuCells
from terradelta.sam.decoder import FoldedDecoder

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


@pytest.fixture(scope="module")
def tokens(network: SamModel, prompts: torch.Tensor) -> torch.Tensor:
    decoder = network.mask_decoder
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    return torch.cat([own.expand(POINTS, -1, -1), prompts], 1).detach()


def centred(x: torch.Tensor) -> torch.Tensor:
    return x - x.mean(-1, keepdim=True)


def handed_on(network: SamModel, embedding: torch.Tensor, first: Update) -> torch.Tensor:
    """The cells between the layers, centred and without the first norm's bias, [B, N, C]."""
    layer = network.mask_decoder.transformer.layers[0]
    cells = embedding[0].flatten(1).T + network.prompt_encoder.no_mask_embed.weight
    residual = centred(cells + layer.cross_attn_image_to_token.out_proj.bias)
    carried = centred(residual * layer.layer_norm4.weight)
    written = first.written.base + first.weights.mT @ first.written.values
    return first.factor.mT * (carried + written)


@torch.inference_mode()
def test_bfloat16_up_scaling_moves_only_logits_near_zero(
    network: SamModel,
    embedding: torch.Tensor,
    prompts: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CpuCells, "can_do", lambda _: False)  # a CPU's kernels are in float32
    single = deepcopy(network).float()
    answers = []
    for dtype in (torch.float32, torch.bfloat16):
        decoder = FoldedDecoder(single, dtype)
        shared = decoder.share(embedding.float())
        decoded = decoder.decode(shared, prompts.float())
        every = torch.ones_like(decoded.iou, dtype=torch.bool)
        answers.append((decoded.iou, decoder.masks(shared, decoded, every)))
    (iou, exact), (same_iou, rounded) = answers
    assert torch.equal(iou, same_iou)
    assert rounded.dtype == torch.float32
    spread = exact.std()
    assert 0 < (rounded - exact).abs().max() < 0.1 * spread
    flipped = (rounded > 0) != (exact > 0)
    assert (exact[flipped].abs() < 0.05 * spread).all()


@torch.inference_mode()
def test_the_first_layer_is_that_of_the_plain_decoder(
    network: SamModel,
    folded: FoldedDecoder,
    embedding: torch.Tensor,
    tokens: torch.Tensor,
    plain: dict[str, Any],
) -> None:
    shared = folded.share(embedding)
    queries, first, _ = folded._first_layer(shared, tokens)
    torch.testing.assert_close(queries, plain["first"][0][0], **EXACT)
    cells = plain["first"][1].view(POINTS, -1, CHANNELS)
    bias = network.mask_decoder.transformer.layers[0].layer_norm4.bias
    torch.testing.assert_close(handed_on(network, embedding, first), centred(cells - bias), **EXACT)


@torch.inference_mode()
def test_the_second_layer_is_that_of_the_plain_decoder(
    network: SamModel,
    folded: FoldedDecoder,
    embedding: torch.Tensor,
    tokens: torch.Tensor,
    plain: dict[str, Any],
) -> None:
    shared = folded.share(embedding)
    queries, first, handed = folded._first_layer(shared, tokens)
    queries, second = folded._second_layer(shared, tokens, queries, first, handed)
    torch.testing.assert_close(queries, plain["second"][0][0], **EXACT)
    norm = network.mask_decoder.transformer.layers[1].layer_norm4
    cells = handed_on(network, embedding, first) + folded._cells.constant
    cells = cells + second.written.base + second.weights.mT @ second.written.values
    cells = second.factor.mT * cells * norm.weight + norm.bias
    torch.testing.assert_close(cells, plain["second"][1].view_as(cells), **EXACT)


@torch.inference_mode()
def test_dot_products_with_the_cells_are_those_of_their_projection(
    network: SamModel,
    folded: FoldedDecoder,
    embedding: torch.Tensor,
    tokens: torch.Tensor,
    plain: dict[str, Any],
) -> None:
    shared = folded.share(embedding)
    _, first, _ = folded._first_layer(shared, tokens)
    by_token = first.written.by_token
    asking = torch.randn_like(by_token)
    position = network.get_image_wide_positional_embeddings()[0].flatten(1).T
    placed = plain["first"][1].view(POINTS, -1, CHANNELS) + position
    projection = network.mask_decoder.transformer.layers[1].cross_attn_token_to_image.k_proj
    expected = asking @ folded._split(projection(placed)).mT
    keys = folded._projected(by_token, folded._out_key1)
    found = folded._cells._against(asking, shared.key1, shared.key1_offset, keys, first)
    torch.testing.assert_close(found, expected, **EXACT)


@torch.inference_mode()
def test_the_final_attention_is_that_of_the_plain_decoder(
    network: SamModel,
    folded: FoldedDecoder,
    embedding: torch.Tensor,
    prompts: torch.Tensor,
    plain: dict[str, Any],
) -> None:
    shared = folded.share(embedding)
    decoded = folded.decode(shared, prompts)
    point = torch.tensor([3, 0, 3])
    tokens, queries = decoded.tokens[point, 1], decoded.queries[point, 1]
    asked = folded._ask(shared, tokens, queries, point, decoded.first, decoded.second)
    torch.testing.assert_close(asked, plain["final"][0][0][point, 3], **EXACT)


@torch.inference_mode()
def test_predicted_iou_and_masks_are_those_of_the_plain_decoder(
    folded: FoldedDecoder, embedding: torch.Tensor, prompts: torch.Tensor, plain: dict[str, Any]
) -> None:
    shared = folded.share(embedding)
    decoded = folded.decode(shared, prompts)
    torch.testing.assert_close(decoded.iou, plain["iou"][0], **EXACT)
    every = torch.ones((POINTS, 3), dtype=torch.bool)
    found = folded.masks(shared, decoded, every)
    torch.testing.assert_close(found, plain["logits"][0].flatten(0, 1), **EXACT)


@torch.inference_mode()
def test_only_the_wanted_masks_of_some_points_are_made(
    folded: FoldedDecoder, embedding: torch.Tensor, prompts: torch.Tensor, plain: dict[str, Any]
) -> None:
    shared = folded.share(embedding)
    wanted = torch.zeros((POINTS, 3), dtype=torch.bool)
    wanted[1, 0] = wanted[1, 2] = wanted[3, 1] = True
    found = folded.masks(shared, folded.decode(shared, prompts), wanted)
    torch.testing.assert_close(found, plain["logits"][0][wanted], **EXACT)


def test_a_decoder_of_another_depth_is_refused() -> None:
    with pytest.raises(ModelError, match="2 layers, that of these weights has 3"):
        FoldedDecoder(random_network(layers=3))
