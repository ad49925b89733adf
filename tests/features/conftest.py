"""A small DINOv2 with random weights, and a SAM."""

from pathlib import Path

import pytest
import torch
from transformers import Dinov2Config, Dinov2Model

from terradelta import load_segmenter
from terradelta.sam.sam import SamSegmenter

CHANNELS = 24


@pytest.fixture(scope="session")
def dinov2() -> Dinov2Model:
    """Trained, if it were, on 5 x 5 patches of 14 px."""
    config = Dinov2Config(
        hidden_size=CHANNELS,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=70,
        patch_size=14,
    )
    network = Dinov2Model(config).eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            noise = torch.randn(weight.shape, generator=random)
            if weight.dim() >= 2:
                weight.copy_(noise * weight[0].numel() ** -0.5)
            else:
                weight.copy_(0.3 * noise if "bias" in name else 1 + 0.2 * noise)
    return network


@pytest.fixture(scope="session")
def dinov2_folder(dinov2: Dinov2Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, as transformers writes it."""
    folder = tmp_path_factory.mktemp("features") / "dinov2-tiny"
    dinov2.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def sam(sam_folder: Path) -> SamSegmenter:
    segmenter = load_segmenter(str(sam_folder))
    assert isinstance(segmenter, SamSegmenter)
    return segmenter
