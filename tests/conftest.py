"""Small SAM networks with random weights in both formats, and a made pair to show them."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from terradelta import make_scene
from terradelta.synth import Scene

CANVAS_PX = 256
CELLS = CANVAS_PX // 16
CHANNELS = 64


@pytest.fixture(scope="session")
def original_sam() -> torch.nn.Module:
    """A SAM of the original classes whose random weights give many, varied masks.

    Plain random weights give logits near zero, the same for every point. Here pixels attend to the
    point strongly, the hypernetworks are scaled up and biased towards small masks, and half of the
    masks have a predicted IoU above 0.5.
    """
    modeling = pytest.importorskip("segment_anything.modeling")
    with torch.random.fork_rng():
        # Waves of positions are no parameter: without a seed the order of tests would decide them.
        torch.manual_seed(0)
        sam = _small_sam(modeling)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in sam.named_parameters():
            noise = torch.randn(weight.shape, generator=random)
            if weight.dim() >= 2:
                weight.copy_(noise * weight[0].numel() ** -0.5)
            else:
                weight.copy_(0.1 * noise if "bias" in name else 1 + 0.2 * noise)
        decoder = sam.mask_decoder
        decoder.iou_prediction_head.layers[-1].bias.fill_(0.6)
        for tokens in (
            decoder.iou_token,
            decoder.mask_tokens,
            *sam.prompt_encoder.point_embeddings,
        ):
            tokens.weight.mul_(0.3)
        for layer in decoder.transformer.layers:
            attention = layer.cross_attn_image_to_token
            attention.q_proj.weight.mul_(4)
            attention.k_proj.weight.copy_(attention.q_proj.weight)
            attention.out_proj.weight.mul_(20)
        for network in decoder.output_hypernetworks_mlps:
            network.layers[-1].weight.mul_(60)
            network.layers[-1].bias.sub_(60)
    return sam.eval()


def _small_sam(modeling: Any) -> Any:
    return modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            depth=2,
            embed_dim=64,
            img_size=CANVAS_PX,
            mlp_ratio=4,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            num_heads=4,
            patch_size=16,
            qkv_bias=True,
            use_rel_pos=True,
            global_attn_indexes=[1],
            window_size=7,
            out_chans=CHANNELS,
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=CHANNELS,
            image_embedding_size=(CELLS, CELLS),
            input_image_size=(CANVAS_PX, CANVAS_PX),
            mask_in_chans=16,
        ),
        mask_decoder=modeling.MaskDecoder(
            num_multimask_outputs=3,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=CHANNELS, mlp_dim=128, num_heads=8
            ),
            transformer_dim=CHANNELS,
            iou_head_depth=3,
            iou_head_hidden_dim=64,
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    )


@pytest.fixture(scope="session")
def sam_file(original_sam: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its checkpoint, as segment-anything writes it."""
    path = tmp_path_factory.mktemp("original") / "sam_tiny.pth"
    torch.save(original_sam.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def sam_folder(sam_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network as a folder of transformers."""
    from terradelta.sam.checkpoint import load_path

    folder = tmp_path_factory.mktemp("transformers") / "sam-tiny"
    load_path(sam_file).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def oracle_folder(sam_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An oracle on the tiny SAM; the adapters, which start without effect, have one."""
    from terradelta.oracle import build_oracle, save_oracle
    from terradelta.oracle.lora import Lora

    torch.manual_seed(0)
    network = build_oracle(str(sam_folder), Lora(rank=4, alpha=8.0, dropout=0.1))
    with torch.no_grad():
        for name, weight in network.encoder.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1)
    return save_oracle(network, tmp_path_factory.mktemp("oracle"))


@pytest.fixture(scope="session")
def scene() -> Scene:
    return make_scene(CANVAS_PX, seed=4)


@pytest.fixture(scope="session")
def noise_pair() -> tuple[Any, Any]:
    """Two unrelated uint8 images [96, 160, 3]: wider than high."""
    random = np.random.default_rng(0)
    return tuple(random.integers(0, 256, (96, 160, 3), np.uint8) for _ in range(2))
