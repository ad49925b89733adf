import copy
from pathlib import Path

import pytest
import torch

from terradelta.detectors import normalise
from terradelta.errors import ModelError, UsageError
from terradelta.oracle import OracleNetwork, build_oracle
from terradelta.oracle.lora import Lora, merged
from terradelta.oracle.network import load_sam
from terradelta.sam.sam import SamSegmenter
from terradelta.synth import Scene
from terradelta.train.losses import criterion

IMAGES = (2, 1, 3, 64, 96)


def images() -> tuple[torch.Tensor, torch.Tensor]:
    before, after = torch.randn(IMAGES, generator=torch.Generator().manual_seed(1))
    return before, after


def test_adapters_and_score_network_are_trained_and_nothing_else(sam_folder: Path) -> None:
    """By hand: 2 layers, r (64 + 3 x 64) each; and the score network of 64 channels."""
    network = build_oracle(str(sam_folder), Lora(rank=4))
    trained = {name: w.numel() for name, w in network.named_parameters() if w.requires_grad}
    adapters = sum(count for name, count in trained.items() if name.startswith("encoder."))
    assert adapters == 2 * 4 * (64 + 192)
    assert all("lora_" in name or name.startswith("score.") for name in trained)
    assert sum(trained.values()) - adapters == sum(w.numel() for w in network.score.parameters())


def test_new_adapters_leave_the_embedding_of_sam(sam_folder: Path, scene: Scene) -> None:
    network = build_oracle(str(sam_folder)).eval()
    segmenter = SamSegmenter(load_sam(str(sam_folder)), name="tiny")
    expected = segmenter.encode(scene.before).embedding.z
    shown = normalise(torch.from_numpy(scene.before.transpose(2, 0, 1).copy())[None])
    with torch.inference_mode():
        found = network.embeddings(shown)[0]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def test_any_size_and_the_order_of_the_dates(network: OracleNetwork) -> None:
    before, after = images()
    network.eval()
    with torch.inference_mode():
        forth, back = network(before, after), network(after, before)
        small = network(before[..., :1, :1], after[..., :1, :1])
    assert forth.shape == (1, 1, 64, 96)
    assert small.shape == (1, 1, 1, 1)
    torch.testing.assert_close(forth, back, atol=1e-5, rtol=1e-4)


def test_one_image_after_the_other_gives_the_gradient_of_all_at_once(
    network: OracleNetwork,
) -> None:
    before, after = torch.randn(2, 2, 3, 64, 96)
    label = torch.randint(0, 2, (2, 64, 96)).float()
    loss = criterion(("bce", "dice"))
    assert loss is not None
    other = copy.deepcopy(network.eval())
    other._encoded = other._forward  # type: ignore[method-assign]
    for each in (network, other):
        each.loss(before, after, label, loss).backward()
    weights = dict(other.named_parameters())
    for name, weight in network.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, name
            torch.testing.assert_close(weight.grad, weights[name].grad)
    assert any(w.grad.abs().max() > 0 for n, w in network.named_parameters() if "lora_A" in n)


def test_merged_adapters_encode_alike(network: OracleNetwork) -> None:
    canvas = torch.randn(1, 3, 256, 256)
    network.eval()
    with torch.inference_mode():
        expected = network.encoder(canvas).last_hidden_state
        plain = merged(network.encoder)
        torch.testing.assert_close(plain(canvas).last_hidden_state, expected, atol=1e-4, rtol=1e-4)
    assert not any("lora" in name for name, _ in plain.named_parameters())


def test_what_is_no_sam_and_a_wrong_rank_are_told(sam_folder: Path) -> None:
    with pytest.raises(ModelError, match="'regions' is no SAM: choose from sam-vit-b"):
        build_oracle("regions")
    with pytest.raises(ModelError, match="'nowhere' is no SAM"):
        build_oracle("nowhere")
    with pytest.raises(UsageError, match="no LoRA of"):
        build_oracle(str(sam_folder), Lora(rank=0))
