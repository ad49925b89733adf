import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2.functional import normalize

from terradelta.errors import ModelError, UsageError
from terradelta.features.dinov2 import Dinov2Features, load_folder
from terradelta.sam.masks import Masks
from terradelta.zeroshot.matching import mask_means


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def features(dinov2: Any) -> Dinov2Features:
    return Dinov2Features(dinov2, name="tiny")


def test_cells_are_the_patch_tokens_without_the_affine_part(dinov2: Any) -> None:
    image = noise(42, 98)
    pixels = torch.from_numpy(image).permute(2, 0, 1) / 255
    pixels = normalize(pixels, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.inference_mode():
        tokens = dinov2(pixels[None]).last_hidden_state[0]
    assert len(tokens) == 1 + 3 * 7
    z = Dinov2Features(dinov2, name="tiny", long_side=98).encode(image).z
    assert z.shape == (24, 3, 7)
    norm = dinov2.layernorm
    expected = (tokens[1:] - norm.bias.detach()) / norm.weight.detach()
    torch.testing.assert_close(z[:, 2, 5], expected[2 * 7 + 5], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(z.flatten(1).T, expected, atol=1e-4, rtol=1e-4)


def test_every_cell_has_zero_mean_and_unit_variance(features: Dinov2Features) -> None:
    z = features.encode(noise(60, 90)).z
    torch.testing.assert_close(z.mean(0), torch.zeros(z.shape[1:]), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.var(0, correction=0), torch.ones(z.shape[1:]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("shape", "long_side", "cells"),
    [
        ((256, 256), None, (37, 37)),
        ((518, 518), None, (37, 37)),
        ((700, 350), None, (50, 25)),
        ((1024, 1024), None, (73, 73)),
        ((512, 2048), None, (18, 74)),
        ((1, 5000), None, (1, 74)),
        ((256, 128), 140, (10, 5)),
        ((100, 98), 98, (7, 7)),
    ],
)
def test_images_become_whole_patches(
    dinov2: Any, shape: tuple[int, int], long_side: int | None, cells: tuple[int, int]
) -> None:
    encoder = Dinov2Features(dinov2, name="tiny", long_side=long_side)
    embedding = encoder.encode(np.zeros((*shape, 3), np.uint8))
    assert embedding.z.shape[1:] == cells
    assert (len(embedding.rows.lower), len(embedding.columns.lower)) == shape
    assert embedding.rows.upper.max() == cells[0] - 1
    assert embedding.columns.upper.max() == cells[1] - 1


def test_one_pixel_reads_the_middle_cell(features: Dinov2Features) -> None:
    embedding = features.encode(noise(1, 1))
    assert embedding.z.shape == (24, 37, 37)
    mean = mask_means(Masks.from_dense(np.ones((1, 1, 1), bool)), embedding)
    np.testing.assert_allclose(mean[0], embedding.z[:, 18, 18].numpy(), atol=1e-6)


@pytest.mark.parametrize("shape", [(40, 96), (96, 40), (64, 64)])
def test_pixels_read_cells_as_torch_enlarges_them(
    features: Dinov2Features, shape: tuple[int, int]
) -> None:
    embedding = features.encode(noise(*shape))
    large = torch.nn.functional.interpolate(
        embedding.z[None], shape, mode="bilinear", align_corners=False
    )[0].numpy()
    box = np.zeros((2, *shape), bool)
    box[0, 3:21, 7:39] = True
    box[1, shape[0] - 1, shape[1] - 1] = True
    means = mask_means(Masks.from_dense(box), embedding)
    np.testing.assert_allclose(means[0], large[:, 3:21, 7:39].mean((1, 2)), atol=1e-4)
    np.testing.assert_allclose(means[1], large[:, -1, -1], atol=1e-4)


def test_what_lies_at_the_right_is_read_at_the_right(features: Dinov2Features) -> None:
    image = np.zeros((56, 112, 3), np.uint8)
    image[:, 56:] = noise(56, 56)
    changed = image.copy()
    changed[:, 84:] = noise(56, 28, seed=1)
    change = (features.encode(image).z - features.encode(changed).z).norm(dim=0)
    by_column = change.mean(0)
    assert by_column.argmax() > 3 * len(by_column) // 4 - 1
    assert by_column[: len(by_column) // 2].max() < by_column.max() / 2


def test_the_same_image_gives_the_same_twice(features: Dinov2Features) -> None:
    first, second = (features.encode(noise(50, 70)).z for _ in range(2))
    assert torch.equal(first, second)


def test_bfloat16_stays_close(dinov2: Any, features: Dinov2Features) -> None:
    half = Dinov2Features(dinov2, name="tiny", dtype=torch.bfloat16)
    exact, rounded = (one.encode(noise(50, 70)).z for one in (features, half))
    assert rounded.dtype == torch.float32
    assert 0.99 < torch.cosine_similarity(exact, rounded, dim=0).min() < 1


def test_an_absent_device_is_named(dinov2: Any) -> None:
    absent = "cuda" if not torch.cuda.is_available() else "mps"
    with pytest.raises(UsageError, match=f"'{absent}' is not available"):
        Dinov2Features(dinov2, name="tiny", device=absent)


def test_a_long_side_below_a_patch_is_refused(dinov2: Any) -> None:
    with pytest.raises(UsageError, match="13 px: it must be at least 14 px"):
        Dinov2Features(dinov2, name="tiny", long_side=13)


def test_a_folder_holds_the_network_that_was_saved(dinov2: Any, dinov2_folder: Path) -> None:
    saved, loaded = dinov2.state_dict(), load_folder(dinov2_folder).state_dict()
    assert saved.keys() == loaded.keys()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in saved.items())


def test_a_folder_of_another_network_is_refused(sam_folder: Path) -> None:
    with pytest.raises(ModelError, match="is not a DINOv2 folder"):
        load_folder(sam_folder)


def test_a_folder_without_weights_is_refused(dinov2_folder: Path, tmp_path: Path) -> None:
    shutil.copy(dinov2_folder / "config.json", tmp_path)
    with pytest.raises(ModelError, match="is not a DINOv2 folder"):
        load_folder(tmp_path)


def test_a_folder_that_lacks_tensors_is_refused(dinov2_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deeper"
    shutil.copytree(dinov2_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config["num_hidden_layers"] = 3
    config.pop("stage_names", None), config.pop("out_features", None)
    config.pop("out_indices", None)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"18 tensors are missing, the first is .*layer\.2\."):
        load_folder(folder)


def test_pickled_weights_are_not_read(dinov2: Any, dinov2_folder: Path, tmp_path: Path) -> None:
    shutil.copy(dinov2_folder / "config.json", tmp_path)
    torch.save(dinov2.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match="is not a DINOv2 folder"):
        load_folder(tmp_path)
