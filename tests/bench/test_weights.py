import pytest
import torch

from terradelta.bench.random_weights import random_network
from terradelta.bench.weights import load_network, original_network, plain_twin
from terradelta.errors import ModelError, UsageError

MODELING = "segment_anything.modeling"
pytest.importorskip(MODELING)


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


def test_what_cannot_be_had_is_named() -> None:
    with pytest.raises(UsageError, match="not 'regions'"):
        load_network("regions")
    with pytest.raises(ModelError, match=r"unknown model 'nowhere\.pth'"):
        load_network("nowhere.pth")
    with pytest.raises(ModelError, match=r'no-such-package .* "terradelta\[bench\]"'):
        original_network("no_such_package.modeling", random_network("tiny"))
