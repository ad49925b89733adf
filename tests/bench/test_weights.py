from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from terradelta.bench.weights import (
    SIZES,
    load_network,
    original_network,
    plain_twin,
    random_network,
    random_state,
)
from terradelta.errors import ModelError, UsageError
from terradelta.sam.checkpoint import load_path
from terradelta.sam.proposals import point_grid
from terradelta.sam.sam import SamSegmenter
from terradelta.synth import Scene

MODELING = "segment_anything.modeling"
pytest.importorskip(MODELING)


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


def test_masks_are_a_few_blobs_that_depend_on_the_point_and_the_image(scene: Scene) -> None:
    segmenter = SamSegmenter(random_network("tiny"), name="tiny")
    encoded = [segmenter.encode(image) for image in (scene.before, scene.after)]
    points = point_grid(encoded[0].shape, 6)
    found = segmenter.decode(encoded[0], points)
    assert len(found) > len(points) / 2
    dense = found.masks.dense()
    assert len(np.unique(dense.reshape(len(dense), -1), axis=0)) > len(points) / 2
    assert np.median([ndimage.label(mask)[1] for mask in dense]) <= 8
    cosine = torch.cosine_similarity(*(e.embedding.z for e in encoded), dim=0)
    angle = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
    assert 5 < angle.median() < 45


def test_both_formats_are_made_of_the_very_same_tensors() -> None:
    network = random_network("tiny")
    original = original_network(MODELING, network)
    ours = network.vision_encoder.patch_embed.projection.weight
    assert original.image_encoder.patch_embed.proj.weight.data_ptr() == ours.data_ptr()
    twin = plain_twin(network)
    assert twin is not network
    assert twin.vision_encoder.patch_embed.projection.weight.data_ptr() == ours.data_ptr()
    image = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(
            original.image_encoder(image), twin.get_image_embeddings(image), rtol=0, atol=1e-5
        )


def test_the_sizes_are_those_of_the_released_encoders() -> None:
    from segment_anything import sam_model_registry

    shapes = {name: weight.shape for name, weight in random_state("vit-b").items()}
    released = sam_model_registry["vit_b"]().state_dict()
    assert shapes == {name: weight.shape for name, weight in released.items()}
    assert list(SIZES) == ["tiny", "vit-b", "vit-l", "vit-h"]


def test_what_cannot_be_had_is_named() -> None:
    with pytest.raises(UsageError, match="unknown size 'huge'"):
        random_network("huge")
    with pytest.raises(UsageError, match="not 'regions'"):
        load_network("regions")
    with pytest.raises(ModelError, match=r"unknown model 'nowhere\.pth'"):
        load_network("nowhere.pth")
    with pytest.raises(ModelError, match=r'no-such-package .* "terradelta\[bench\]"'):
        original_network("no_such_package.modeling", random_network("tiny"))
