import logging
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from transformers import SegformerConfig, SegformerModel

from terradelta.errors import ModelError
from terradelta.features import backbones
from terradelta.features.backbones import IMAGENET_COLOURS, load_backbone

IMAGE = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def nothing_in_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """An empty weights folder and a hub out of reach; what it was asked for."""
    asked: list[dict[str, Any]] = []

    def unreachable(repository: str, file: str, **options: Any) -> str:
        asked.append({"repository": repository, "file": file} | options)
        raise OSError("no network")

    monkeypatch.setenv("TERRADELTA_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(backbones, "hf_hub_download", unreachable)
    return asked


@pytest.mark.parametrize(
    ("name", "channels"),
    [("resnet18", (64, 128, 256, 512)), ("mit-b0", (32, 64, 160, 256))],
)
def test_last_four_levels(name: str, channels: tuple[int, ...]) -> None:
    backbone = load_backbone(name).eval()
    assert backbone.channels == channels
    assert backbone.strides == (4, 8, 16, 32)
    with torch.inference_mode():
        shapes = [tuple(level.shape) for level in backbone(IMAGE)]
    assert shapes == [
        (1, count, 64 // stride, 96 // stride)
        for count, stride in zip(channels, backbone.strides, strict=True)
    ]


@pytest.mark.parametrize(("name", "levels"), [("resnet18", (0, 2)), ("mit-b0", (0, 1))])
def test_layers_behind_the_last_level_are_left_out(name: str, levels: tuple[int, ...]) -> None:
    backbone = load_backbone(name, levels)
    sum(level.sum() for level in backbone(IMAGE)).backward()  # type: ignore[union-attr]
    assert all(weight.grad is not None for weight in backbone.parameters())


def test_output_stride() -> None:
    backbone = load_backbone("resnet18", (-1,), output_stride=8)
    assert backbone.strides == (8,)
    assert backbone(IMAGE)[0].shape == (1, 512, 8, 12)


def test_mit_b1_has_the_published_size() -> None:
    """13.1 M in Xie et al., 2021, table 6."""
    weights = sum(weight.numel() for weight in load_backbone("mit-b1").parameters())
    assert weights / 1e6 == pytest.approx(13.1, rel=0.01)


@pytest.mark.parametrize(
    ("name", "levels", "message"),
    [
        ("resnet-18", (-1,), "unknown backbone 'resnet-18'"),
        ("hf-hub:someone/something", (-1,), "unknown backbone"),
        ("mit-b9", (-1,), "unknown backbone"),
        ("resnet18.nobody_in1k", (-1,), "unknown backbone"),
        ("", (-1,), "unknown backbone"),
        ("mit-b0", (4,), "has no levels"),
        ("resnet18", (7,), "has no levels"),
    ],
)
def test_what_is_no_backbone(
    name: str, levels: tuple[int, ...], message: str, nothing_in_reach: list[Any]
) -> None:
    with pytest.raises(ModelError, match=message):
        load_backbone(name, levels)
    assert nothing_in_reach == []


@pytest.mark.parametrize(
    ("name", "repository"), [("resnet18", "timm/resnet18.a1_in1k"), ("mit-b0", "nvidia/mit-b0")]
)
def test_out_of_reach_they_are_random_with_one_warning(
    name: str,
    repository: str,
    nothing_in_reach: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    torch.manual_seed(0)
    with caplog.at_level(logging.WARNING):
        pretrained = load_backbone(name, pretrained=True, or_random=True).state_dict()
    assert [record.getMessage() for record in caplog.records] == [
        f"{name} starts from random weights: its ImageNet weights are neither on this machine nor "
        "can the hub be reached"
    ]
    assert [(one["repository"], one["local_files_only"]) for one in nothing_in_reach] == [
        (repository, True),
        (repository, False),
    ]
    torch.manual_seed(0)
    random = load_backbone(name).state_dict()
    assert all(pretrained[key].equal(random[key]) for key in random)


def test_timm_weights_of_the_folder(tmp_path: Path, nothing_in_reach: list[Any]) -> None:
    torch.manual_seed(5)
    whole = timm.create_model("resnet18").eval()
    save_file(whole.state_dict(), tmp_path / "resnet18.safetensors")
    backbone = load_backbone("resnet18", (-1,), pretrained=True).eval()
    with torch.inference_mode():
        torch.testing.assert_close(backbone(IMAGE)[0], whole.forward_features(IMAGE))
    assert nothing_in_reach == []


def test_timm_weights_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "resnet18.safetensors"
    save_file(timm.create_model("resnet10t").state_dict(), path)
    with pytest.raises(
        ModelError, match=r"resnet18.safetensors does not hold the weights of resnet18"
    ):
        load_backbone("resnet18", pretrained=True)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"resnet18.safetensors cannot be read"):
        load_backbone("resnet18", pretrained=True)


@pytest.mark.parametrize(
    ("name", "command", "local"),
    [
        ("resnet18", "timm/resnet18.a1_in1k model.safetensors", "resnet18.safetensors"),
        ("mit-b0", "nvidia/mit-b0 --local-dir mit-b0", "mit-b0"),
    ],
)
def test_weights_that_cannot_be_had_are_named_with_the_remedy(
    tmp_path: Path, name: str, command: str, local: str
) -> None:
    with pytest.raises(ModelError) as caught:
        load_backbone(name, pretrained=True)
    assert f"hf download {command}" in str(caught.value)
    assert str(tmp_path / local) in str(caught.value)


def test_weights_that_nobody_publishes() -> None:
    with pytest.raises(ModelError, match="no published weights of resnet50t"):
        load_backbone("resnet50t", pretrained=True)


def test_colours_are_brought_to_those_that_the_network_was_trained_on() -> None:
    mean, deviation = (torch.tensor(of).view(3, 1, 1) for of in IMAGENET_COLOURS)
    raw = 255 * (IMAGE * deviation + mean)
    torch.testing.assert_close(load_backbone("mit-b0").prepared(raw), IMAGE, rtol=1e-4, atol=1e-4)
    other = load_backbone("efficientnet_b4.ra2_in1k", (0,))
    assert other.colours == (other.body.pretrained_cfg["mean"], other.body.pretrained_cfg["std"])


def test_mit_weights_of_the_folder(tmp_path: Path) -> None:
    torch.manual_seed(5)
    widths = [32, 64, 160, 256]
    whole = SegformerModel(SegformerConfig(hidden_sizes=widths, depths=[2] * 4)).eval()
    whole.save_pretrained(tmp_path / "mit-b0")
    backbone = load_backbone("mit-b0", (-2, -1), pretrained=True).eval()
    with torch.inference_mode():
        expected = whole(IMAGE, output_hidden_states=True).hidden_states
        for level, other in zip(backbone(IMAGE), expected[-2:], strict=True):
            torch.testing.assert_close(level, other)


def test_mit_weights_that_do_not_fit(tmp_path: Path) -> None:
    config = SegformerConfig(hidden_sizes=[32, 64, 160, 256], depths=[1] * 4)
    SegformerModel(config).save_pretrained(tmp_path / "mit-b0")
    with pytest.raises(ModelError, match=r"do not fit mit-b0: .* missing"):
        load_backbone("mit-b0", pretrained=True)
