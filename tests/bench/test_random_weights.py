from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from terradelta.bench.random_weights import SIZES, random_network, random_state
from terradelta.bench.weights import load_network
from terradelta.errors import UsageError
from terradelta.sam.checkpoint import load_path
from terradelta.sam.proposals import point_grid
from terradelta.sam.sam import SamSegmenter
from terradelta.synth import Scene

pytest.importorskip("segment_anything.modeling")


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    torch.manual_seed(1)
    first = random_state("tiny", 3)
    torch.manual_seed(2)
    again, other = random_state("tiny", 3), random_state("tiny", 4)
    assert all(torch.equal(first[key], again[key]) for key in first)
    matrix = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
    assert not torch.equal(first[matrix], other[matrix])


def test_they_are_an_original_checkpoint(tmp_path: Path) -> None:
    torch.save(random_state("tiny"), tmp_path / "tiny.pth")
    loaded, made = (
        load_path(tmp_path / "tiny.pth").state_dict(),
        random_network("tiny").state_dict(),
    )
    assert loaded.keys() == made.keys()
    assert all(torch.equal(loaded[key], made[key]) for key in made)
    assert load_network(str(tmp_path / "tiny.pth")).config.vision_config.image_size == 256


def test_masks_are_blobs_about_their_point_and_depend_on_the_image(scene: Scene) -> None:
    segmenter = SamSegmenter(random_network("tiny"), name="tiny")
    encoded = [segmenter.encode(image) for image in (scene.before, scene.after)]
    points = point_grid(encoded[0].shape, 6)
    found = [segmenter.decode(date, points) for date in encoded]
    assert len(found[0]) > len(points)
    dense, asked = found[0].masks.dense(), points[found[0].point].astype(int)
    assert np.median([ndimage.label(mask)[1] for mask in dense]) <= 2
    assert np.mean([mask[y, x] for mask, (x, y) in zip(dense, asked, strict=True)]) > 0.8
    y, x = np.array([ndimage.center_of_mass(mask) for mask in dense]).T
    assert np.median(np.hypot(x - asked[:, 0], y - asked[:, 1])) < 0.1 * max(encoded[0].shape)
    assert not np.array_equal(found[0].masks.areas, found[1].masks.areas)
    cosine = torch.cosine_similarity(*(e.embedding.z for e in encoded), dim=0)
    angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
    assert 5 < angle.median() < 45


def test_the_sizes_are_those_of_the_released_encoders() -> None:
    from segment_anything import sam_model_registry

    shapes = {name: weight.shape for name, weight in random_state("vit-b").items()}
    released = sam_model_registry["vit_b"]().state_dict()
    assert shapes == {name: weight.shape for name, weight in released.items()}
    assert list(SIZES) == ["tiny", "vit-b", "vit-l", "vit-h"]


def test_an_unknown_size_is_named() -> None:
    with pytest.raises(UsageError, match="unknown size 'huge'"):
        random_network("huge")
