from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from terradelta.detectors import build_detector, load_detector, save_detector
from terradelta.detectors.changestar import ChangeStar, Pyramid, Relation, changestar
from terradelta.errors import UsageError

NAMES = ("changestar-1x96-r18", "changestar-1x96-mitb1", "changestar-1x256-r50")
SMALL = "changestar-1x96-r18"


@pytest.mark.parametrize(
    ("name", "millions", "giga"),
    [(NAMES[0], 16.4, 65.3), (NAMES[1], 18.4, 67.3)],
)
def test_published_size_and_cost(name: str, millions: float, giga: float) -> None:
    """Table 5 of Zheng et al., 2024: multiply-adds of a pair of 512 px."""
    detector = build_detector(name).to("meta").eval()
    count = sum(weight.numel() for weight in detector.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.005)
    images = torch.empty(1, 3, 512, 512, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        detector(images, images)
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, rel=0.05)


def test_size_on_resnet50(built: Any) -> None:
    """Not published. By hand: 23.51 M of the backbone, 0.98 + 2.36 of the pyramid, 2.89 of the relations,
    4.13 of the decoder and 1.18 of the change module."""
    pyramid = 256 * (256 + 512 + 1024 + 2048) + 4 * 9 * 256 * 256
    scene = (2048 + 1) * 256 + (256 + 1) * 256
    relations = 4 * (scene + 2 * ((256 + 1) * 256 + 2 * 256))
    decoder = 7 * (9 * 256 * 256 + 2 * 256)
    change = 9 * 512 * 256 + 2 * 256 + 256 + 1
    resnet = 25_557_032 - (2048 + 1) * 1000
    count = sum(weight.numel() for weight in built(NAMES[2]).parameters())
    assert count == resnet + pyramid + relations + decoder + change


def test_nor_does_it_in_training(pair: Any) -> None:
    detector = build_detector(SMALL).train()
    before, after = pair(32, 32, batch=2)
    with torch.no_grad():
        forth, back = detector(before, after), detector(after, before)
    torch.testing.assert_close(forth, back, atol=1e-4, rtol=1e-3)


def test_saved_and_loaded(tmp_path: Path, pair: Any) -> None:
    detector = build_detector(SMALL, semantic=3, channels=16, layers=2).eval()
    again = load_detector(save_detector(detector, tmp_path))
    before, after = pair(37, 53)
    assert isinstance(detector, ChangeStar)
    assert isinstance(again, ChangeStar)
    assert again.settings == detector.settings
    with torch.inference_mode():
        assert torch.equal(again(before, after), detector(before, after))
        assert torch.equal(again.semantic_logits(before), detector.semantic_logits(before))


def test_layers_and_channels_of_the_change_module() -> None:
    module = changestar(layers=3, channels=24).mixin
    shapes = [
        tuple(layer.weight.shape) for layer in module.modules() if isinstance(layer, nn.Conv2d)
    ]
    assert shapes == [(24, 48, 3, 3), (24, 24, 3, 3), (24, 24, 3, 3)]


def test_objects_of_one_date(pair: Any) -> None:
    detector = changestar(semantic=3).eval()
    images, other = pair(37, 53)
    with torch.inference_mode():
        alone = detector.semantic_logits(images)
        both = detector.semantic_logits(torch.cat([other, images]))
    assert alone.shape == (1, 3, 37, 53)
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=1e-4)


def test_objects_train_what_finds_change(pair: Any) -> None:
    """The gradient of the objects reaches all of the segmentation network and nothing of the change."""
    detector = changestar(semantic=1).train()
    images, _ = pair(32, 32, batch=2)
    detector.semantic_logits(images).square().sum().backward()
    trained = {name for name, weight in detector.named_parameters() if weight.grad is not None}
    others = {name for name, _ in detector.named_parameters()} - trained
    assert {name.partition(".")[0] for name in trained} == {"segmentation", "semantic"}
    assert {name.partition(".")[0] for name in others} == {"mixin", "head"}


def test_change_is_the_same_with_and_without_objects(pair: Any) -> None:
    with_objects, without = changestar(semantic=2).eval(), changestar().eval()
    missing = without.load_state_dict(with_objects.state_dict(), strict=False)
    assert set(missing.unexpected_keys) == {"semantic.weight", "semantic.bias"}
    before, after = pair(32, 32)
    with torch.inference_mode():
        assert torch.equal(with_objects(before, after), without(before, after))


def test_no_objects_without_their_layer(built: Any, pair: Any) -> None:
    with pytest.raises(UsageError, match=f"{SMALL} tells no objects: build it with semantic=1"):
        built(SMALL).semantic_logits(pair(32, 32)[0])


@pytest.mark.parametrize("settings", [{"layers": 0}, {"channels": 0}, {"semantic": -1}])
def test_settings_out_of_range(settings: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least 1, 1 and 0"):
        build_detector(SMALL, **settings)


def test_the_pyramid_hands_the_coarse_down() -> None:
    """With all kernels passing on what they see, each cell is the sum of those that lie over it."""
    pyramid = Pyramid((1, 1, 1))
    with torch.no_grad():
        for layer in (*pyramid.lateral, *pyramid.out):
            layer.weight.zero_()
            layer.weight[:1, :1, layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 1
        levels = [torch.full((1, 1, 4 >> i, 4 >> i), 10.0**i) for i in range(3)]
        levels[1][0, 0, 0, 1] = 50
        fine, middle, coarse = (level[0, 0] for level in pyramid(levels))
    assert coarse.tolist() == [[100]]
    assert middle.tolist() == [[110, 150], [110, 110]]
    assert fine[:2].tolist() == [[111, 111, 151, 151]] * 2


def test_a_relation_weighs_by_likeness_to_the_scene() -> None:
    relation = Relation(8).eval()
    scene, level = torch.rand(1, 8, 1, 1), torch.rand(1, 256, 2, 3)
    last = relation.scene[2]
    with torch.inference_mode():
        encoded = relation.encode(level)
        last.weight.zero_()
        last.bias.zero_()
        torch.testing.assert_close(relation(scene, level), 0.5 * encoded)
        last.bias.fill_(0.01)
        weight = (0.01 * relation.content(level)).sum(1, keepdim=True).sigmoid()
        assert weight.min() > 0.5
        torch.testing.assert_close(relation(scene, level), weight * encoded)


def bce(logits: Tensor, label: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits[:, 0], label)
