"""The kernels of a CPU against the same passes in torch and float64."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from transformers import SamConfig, SamModel

from terradelta.sam.cells import Cells, Shared
from terradelta.sam.cells_cpu import BLOCK, CpuCells, blocks
from terradelta.sam.decoder import FoldedDecoder

CHANNELS, SIDE, POINTS = 64, 8, 5
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@dataclass
class Sides:
    """A decoder in float64, the same one with kernels, and what both are given."""

    plain: FoldedDecoder
    fused: FoldedDecoder
    shared: Shared
    fused_shared: Shared
    tokens: torch.Tensor
    prompts: torch.Tensor


def random_network(heads: int) -> SamModel:
    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "image_size": 16 * SIDE,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "mlp_dim": 32,
            "output_channels": CHANNELS,
            "num_pos_feats": CHANNELS // 2,
        },
        prompt_encoder_config={"hidden_size": CHANNELS, "image_size": 16 * SIDE},
        mask_decoder_config={
            "hidden_size": CHANNELS,
            "mlp_dim": 128,
            "num_attention_heads": heads,
            "iou_head_hidden_dim": CHANNELS,
        },
    )
    torch.manual_seed(0)
    network = SamModel(config).eval()
    with torch.no_grad():
        for weight in network.parameters():
            spread = weight[0].numel() ** -0.5 if weight.dim() > 1 else 0.2
            weight.add_(torch.randn_like(weight) * spread)
    return network


@pytest.fixture(scope="module", params=[8, 2, 1])
def sides(request: pytest.FixtureRequest) -> Sides:
    network = random_network(request.param)
    random = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        plain, fused = FoldedDecoder(deepcopy(network).double()), FoldedDecoder(network)
        embedding = torch.randn((1, CHANNELS, SIDE, SIDE), generator=random)
        prompts = torch.randn((POINTS, 2, CHANNELS), generator=random)
        decoder = network.mask_decoder
        own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([own.expand(POINTS, -1, -1), prompts], 1)
        shared, fused_shared = plain.share(embedding.double()), fused.share(embedding)
    return Sides(plain, fused, shared, fused_shared, tokens, prompts)


def close(found: Any, expected: Any) -> None:
    torch.testing.assert_close(found.double(), expected, **CLOSE)


def as_rows(weights: torch.Tensor) -> torch.Tensor:
    """Weights as `Cells` has them."""
    return weights.transpose(1, 2).flatten(2)


def test_blocks_hold_what_belongs_to_sixteen_cells() -> None:
    x = torch.arange(3 * 64).view(3, 64)
    found = blocks(x)
    assert found.shape == (4, 3, BLOCK)
    assert torch.equal(found[2, 1], x[1, 32:48])


def test_float32_on_a_cpu_is_done_by_kernels_and_all_else_is_not(sides: Sides) -> None:
    assert isinstance(sides.fused._cells, CpuCells)
    assert type(sides.plain._cells) is Cells


@torch.inference_mode()
def test_the_first_layer(sides: Sides) -> None:
    queries, update, handed = sides.plain._first_layer(sides.shared, sides.tokens.double())
    found, fused, fused_handed = sides.fused._first_layer(sides.fused_shared, sides.tokens)
    assert update.weights.std() > 0.05
    close(found, queries)
    close(as_rows(fused.weights), update.weights)
    close(fused.factor, update.factor)
    close(fused_handed, handed)


@torch.inference_mode()
def test_the_second_layer(sides: Sides) -> None:
    tokens = sides.tokens.double()
    queries, update = sides.plain._second_layer(
        sides.shared, tokens, *sides.plain._first_layer(sides.shared, tokens)
    )
    found, fused = sides.fused._second_layer(
        sides.fused_shared,
        sides.tokens,
        *sides.fused._first_layer(sides.fused_shared, sides.tokens),
    )
    close(found, queries)
    close(as_rows(fused.weights), update.weights)
    close(fused.factor, update.factor)


@torch.inference_mode()
def test_predicted_iou_and_the_masks_of_some_points(sides: Sides) -> None:
    wanted = torch.zeros((POINTS, 3), dtype=torch.bool)
    wanted[0] = wanted[2, 1] = wanted[4, 0] = wanted[4, 2] = True
    decoded = sides.plain.decode(sides.shared, sides.prompts.double())
    expected = sides.plain.masks(sides.shared, decoded, wanted)
    fused = sides.fused.decode(sides.fused_shared, sides.prompts)
    found = sides.fused.masks(sides.fused_shared, fused, wanted)
    close(fused.iou, decoded.iou)
    assert found.shape == (6, 4 * SIDE, 4 * SIDE)
    assert expected.std() > 0.01
    torch.testing.assert_close(
        found.double(), expected, atol=1e-4 * float(expected.abs().max()), rtol=0
    )


@torch.inference_mode()
def test_logits_too_large_for_exponentials_are_no_trouble(sides: Sides) -> None:
    tokens = 300 * sides.tokens
    asking = sides.fused._split(tokens @ torch.eye(CHANNELS)[:, : CHANNELS // 2])
    found = sides.fused._cells.gather(sides.fused_shared, asking)
    expected = sides.plain._cells.gather(sides.shared, asking.double())
    assert found.isfinite().all()
    torch.testing.assert_close(found.double(), expected, atol=1e-2, rtol=1e-2)
