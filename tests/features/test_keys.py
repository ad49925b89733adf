from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from terradelta.errors import UsageError
from terradelta.features.keys import SamKeyFeatures
from terradelta.sam.sam import SamSegmenter
from terradelta.synth import Scene

CHANNELS = 64


def layer_in_action(
    sam: SamSegmenter, image: NDArray[np.uint8], number: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys, [h, w, C] each, of a global attention layer as its own projection gives them."""
    seen = []
    projection = sam.network.vision_encoder.layers[number - 1].attn.qkv
    handle = projection.register_forward_hook(lambda *call: seen.append(call[2]))
    sam.encode(image)
    handle.remove()
    query, key, _ = seen[0][0].chunk(3, dim=-1)
    return query, key


@pytest.fixture
def image(scene: Scene) -> NDArray[np.uint8]:
    """Wider than high."""
    return scene.before[:160]


def test_keys_are_those_of_the_layer_but_for_a_constant(
    sam: SamSegmenter, image: NDArray[np.uint8]
) -> None:
    _, key = layer_in_action(sam, image, 2)
    z = SamKeyFeatures(sam, 2).encode(image).z.permute(1, 2, 0)
    assert z.shape == key.shape == (16, 16, CHANNELS)
    left_out = (key - z).flatten(0, 1)
    torch.testing.assert_close(left_out, left_out[:1].expand_as(left_out), atol=1e-4, rtol=0)
    assert left_out[0].norm() > 0.1
    assert z.flatten(0, 1).std(0).min() > 0.01


def test_attention_does_not_see_what_is_left_out(
    sam: SamSegmenter, image: NDArray[np.uint8]
) -> None:
    query, key = (part.flatten(0, 1)[:, :16] for part in layer_in_action(sam, image, 2))
    z = SamKeyFeatures(sam, 2).encode(image).z.flatten(1).T[:, :16]
    with_it, without = (torch.softmax(query @ one.T / 4, dim=1) for one in (key, z))
    torch.testing.assert_close(with_it, without, atol=1e-5, rtol=1e-3)


def test_keys_lie_where_the_segmenter_reads_its_own_embedding(
    sam: SamSegmenter, image: NDArray[np.uint8]
) -> None:
    keys, own = SamKeyFeatures(sam).encode(image), sam.encode(image).embedding
    assert keys.z.shape == own.z.shape
    for axis in ("rows", "columns"):
        for part in ("lower", "upper", "fraction"):
            mine, its = (getattr(getattr(e, axis), part) for e in (keys, own))
            np.testing.assert_array_equal(mine, its)
    assert len(keys.rows.lower) == 160
    assert keys.rows.upper.max() == 9


def test_a_windowed_layer_has_keys_for_the_same_grid(sam: SamSegmenter, scene: Scene) -> None:
    first, second = (SamKeyFeatures(sam, n).encode(scene.before).z for n in (1, 2))
    assert first.shape == second.shape == (CHANNELS, 16, 16)
    assert not torch.allclose(first, second, atol=0.1)


@pytest.mark.parametrize(("depth", "layer"), [(12, 7), (24, 13), (32, 17), (2, 2), (1, 1)])
def test_the_first_layer_of_the_second_half_is_the_default(
    sam: SamSegmenter, monkeypatch: pytest.MonkeyPatch, depth: int, layer: int
) -> None:
    layers = [sam.network.vision_encoder.layers[0]] * depth
    deep: Any = type("Network", (), {"vision_encoder": type("Encoder", (), {"layers": layers})})
    monkeypatch.setattr(sam, "network", deep)
    assert SamKeyFeatures(sam).name == f"sam-key:{layer}"


@pytest.mark.parametrize("layer", [0, 3, -1])
def test_a_layer_that_is_not_there_is_named(sam: SamSegmenter, layer: int) -> None:
    with pytest.raises(UsageError, match=f"no layer {layer}: its encoder has layers 1 to 2"):
        SamKeyFeatures(sam, layer)


def test_the_segmenter_is_left_as_it_was(sam: SamSegmenter, scene: Scene) -> None:
    features = SamKeyFeatures(sam)
    before = sam.encode(scene.before).embedding.z
    first, second = features.encode(scene.before), features.encode(scene.before)
    assert torch.equal(first.z, second.z)
    assert torch.equal(sam.encode(scene.before).embedding.z, before)
    assert not any(layer._forward_pre_hooks for layer in sam.network.vision_encoder.layers)


def test_device_dtype_and_angles_are_those_of_the_segmenter(sam: SamSegmenter) -> None:
    features = SamKeyFeatures(sam)
    assert (features.device, features.dtype) == (sam.device, sam.dtype)
    assert (features.angle, features.object_angle) == (25.0, 60.0)
