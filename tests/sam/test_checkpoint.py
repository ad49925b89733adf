import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from terradelta import MODELS, load_segmenter
from terradelta.errors import ModelError
from terradelta.sam.checkpoint import load_path, original_config, rename_original
from terradelta.sam.sam import SamSegmenter
from terradelta.synth import Scene


def test_the_encoder_gives_what_the_original_gives(
    original_sam: Any, sam_file: Path, scene: Scene
) -> None:
    pixels = torch.from_numpy(scene.before.copy()).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        expected = original_sam.image_encoder(original_sam.preprocess(pixels))
        encoded = SamSegmenter(load_path(sam_file), name="tiny").encode(scene.before)
    torch.testing.assert_close(encoded.state.modulated, expected, atol=2e-5, rtol=1e-5)


def test_both_formats_are_the_same_network(sam_file: Path, sam_folder: Path) -> None:
    first, second = load_path(sam_file).state_dict(), load_path(sam_folder).state_dict()
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], rtol=0, atol=0)


def test_every_original_tensor_finds_its_place(sam_file: Path) -> None:
    state = torch.load(sam_file, weights_only=True)
    renamed = rename_original(state)
    assert len(renamed) == len(state) + 1
    assert set(renamed) == set(load_path(sam_file).state_dict())


def test_the_configuration_is_read_off_the_shapes(sam_file: Path) -> None:
    config = original_config(torch.load(sam_file, weights_only=True))
    vision = config.vision_config
    assert (vision.image_size, vision.patch_size, vision.hidden_size) == (256, 16, 64)
    assert (vision.num_hidden_layers, vision.num_attention_heads, vision.window_size) == (2, 4, 7)
    assert vision.global_attn_indexes == [1]
    assert config.mask_decoder_config.iou_head_hidden_dim == 64


def test_a_checkpoint_in_the_weights_folder_is_found_by_name(
    sam_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRADELTA_WEIGHTS", str(tmp_path))
    shutil.copy(sam_file, tmp_path / str(MODELS["sam-vit-b"].checkpoint_name))
    segmenter = load_segmenter("sam-vit-b")
    assert (segmenter.name, segmenter.canvas_px) == ("sam-vit-b", 256)


def test_a_network_of_another_kind_is_refused(sam_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(sam_folder, tmp_path / "other")
    config = tmp_path / "other" / "config.json"
    config.write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match=r"other is not a SAM folder of transformers.*'bert'"):
        load_segmenter(str(tmp_path / "other"))


def test_a_folder_without_all_tensors_is_refused(sam_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(sam_folder, tmp_path / "part")
    path = tmp_path / "part" / "model.safetensors"
    tensors = load_file(path)
    del tensors["vision_encoder.neck.conv1.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 tensors are missing.*neck\.conv1\.weight"):
        load_segmenter(str(tmp_path / "part"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut short"])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"broken\.pth is not a PyTorch checkpoint") as caught:
        load_segmenter(str(path))
    assert "\n" not in str(caught.value)


class Malicious:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> Any:
        return Path.touch, (self.victim,)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"weight": Malicious(tmp_path / "owned")}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match=r"evil\.pth"):
        load_segmenter(str(tmp_path / "evil.pth"))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("content", [{"a": torch.zeros(2)}, [1, 2], torch.zeros(3)])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="not an original segment-anything checkpoint"):
        load_segmenter(str(tmp_path / "other.pth"))


def test_missing_and_unknown_tensors_are_counted(sam_file: Path, tmp_path: Path) -> None:
    state = torch.load(sam_file, weights_only=True)
    state["image_encoder.extra"] = state.pop("image_encoder.neck.0.weight")
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(ModelError, match="1 tensors are missing and 1 unknown"):
        load_segmenter(str(tmp_path / "odd.pth"))


def test_without_weights_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRADELTA_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    card = MODELS["sam-vit-l"]
    with pytest.raises(ModelError) as caught:
        load_segmenter("sam-vit-l")
    for part in (card.checkpoint_url, card.repository, card.revision, "1250 MB", str(tmp_path)):
        assert str(part) in str(caught.value)


def test_embeddings_are_demodulated(sam_file: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    z = load_segmenter(str(sam_file)).encode(image).embedding.z
    torch.testing.assert_close(z.mean(0), torch.zeros(16, 16), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std(0, correction=0), torch.ones(16, 16), atol=1e-3, rtol=0)
