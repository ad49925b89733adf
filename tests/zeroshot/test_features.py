"""AnyChange that matches masks in another embedding than the segmenter's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import Dinov2Config, Dinov2Model

from terradelta import AnyChange, Changes
from terradelta.errors import ModelError, UsageError
from terradelta.features.dinov2 import Dinov2Features
from terradelta.geo.pair import load_pair
from terradelta.sam.segmenter import Axis, Embedding
from terradelta.synth import Scene
from terradelta.zeroshot.candidates import search


class Colours:
    """The embedding of a pixel is its colour, so that every angle can be worked out."""

    name = "colours"
    angle = 12.0
    object_angle = 5.0
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def encode(self, image: NDArray[np.uint8]) -> Embedding:
        height, width = image.shape[:2]
        self.shapes.append((height, width))
        z = torch.from_numpy(image).permute(2, 0, 1).float()
        return Embedding(z, Axis.half_pixel(height, 1, height), Axis.half_pixel(width, 1, width))


def degrees(x: NDArray[Any], y: NDArray[Any]) -> float:
    cosine = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def mean_colours(village: Any, changes: Changes) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    return [(village.before[m].mean(0), village.after[m].mean(0)) for m in changes.masks()]


@pytest.fixture(scope="module")
def model() -> AnyChange:
    return AnyChange(features=Colours())


def test_angles_are_those_of_the_features(model: AnyChange, village: Any) -> None:
    changes = model.detect(village.before, village.after)
    assert changes.threshold == 12.0
    expected = [degrees(x, y) for x, y in mean_colours(village, changes)]
    np.testing.assert_allclose(changes.angle, expected, atol=0.01)
    found = changes.to_mask()
    truth = village.truth("roof", "other roof", "pool")
    assert (found & truth).sum() / (found | truth).sum() > 0.8


def test_masks_stay_those_of_the_segmenter(model: AnyChange, village: Any) -> None:
    pair = load_pair(village.before, village.after)
    mine, own = (
        search(one.segmenter, pair, one.settings, 1).candidates for one in (model, AnyChange())
    )
    assert len(mine.masks) > 20
    assert {r["counts"] for r in mine.masks.rles()} == {r["counts"] for r in own.masks.rles()}
    assert not np.array_equal(np.sort(mine.angle), np.sort(own.angle))


def test_clicks_are_compared_in_the_features(model: AnyChange, village: Any) -> None:
    click = (40, 31, "after")
    wide = model.query(village.before, village.after, [click], object_angle=5)
    roofs = village.truth("roof", "other roof")
    red = village.after[village.boxes["roof"]].reshape(-1, 3).mean(0)
    assert len(wide) > 0
    for before, after in mean_colours(village, wide):
        assert min(degrees(before, red), degrees(after, red)) < 6
    found = wide.to_mask()
    assert (found & roofs).sum() / roofs.sum() > 0.8
    assert not found[village.truth("pool")].any()
    assert wide.settings["asked"]["object_angle"] == 5.0
    default = model.query(village.before, village.after, [click])
    np.testing.assert_array_equal(default.to_mask(), found)


def test_a_second_pair_knows_nothing_of_the_first(model: AnyChange, village: Any) -> None:
    first = model.detect(village.before, village.after)
    assert len(model.detect(village.before, village.before.copy())) == 0
    again = model.detect(village.before, village.after)
    np.testing.assert_array_equal(first.pixel_angle, again.pixel_angle)


def test_enlarged_views_are_encoded_enlarged(village: Any) -> None:
    features = Colours()
    model = AnyChange(features=features, upscale=2)
    changes = model.detect(village.before, village.after)
    assert features.shapes == [(256, 352), (256, 352)]
    found, truth = changes.to_mask(), village.truth("roof", "other roof", "pool")
    assert (found & truth).sum() / (found | truth).sum() > 0.8


def test_sam_proposes_and_others_match(sam_folder: Path, noise_pair: tuple[Any, Any]) -> None:
    model = AnyChange(
        str(sam_folder), features=Colours(), points_per_side=4, pred_iou=0, stability=0
    )
    before, after = noise_pair
    changes = model.detect(before, after, angle=0)
    assert len(changes) > 5
    expected = [degrees(before[mask].mean(0), after[mask].mean(0)) for mask in changes.masks()]
    np.testing.assert_allclose(changes.angle, expected, atol=0.01)


def test_windows_of_a_canvas_are_matched_by_the_features_of_the_window(
    sam_folder: Path, noise_pair: tuple[Any, Any]
) -> None:
    features = Colours()
    model = AnyChange(
        str(sam_folder), features=features, points_per_side=3, pred_iou=0, stability=0, upscale=2
    )
    model.detect(*noise_pair)
    assert features.shapes[:2] == [(96, 160)] * 2
    assert features.shapes[2:] == [(110, 184)] * 8


def test_keys_of_sam_are_loaded_by_name(sam_folder: Path, scene: Scene) -> None:
    settings = {"points_per_side": 4, "pred_iou": 0, "stability": 0}
    model = AnyChange(str(sam_folder), features="sam-key:1", **settings)
    by_keys = model.detect(scene.before, scene.after, angle=0)
    own = AnyChange(str(sam_folder), **settings).detect(scene.before, scene.after, angle=0)
    assert len(by_keys) > 0
    assert by_keys.settings["features"] == "sam-key:1"
    assert set(np.round(by_keys.angle, 2)) != set(np.round(own.angle, 2))


def test_dinov2_matches_regions(village: Any) -> None:
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=70, patch_size=14
    )
    torch.manual_seed(0)
    features = Dinov2Features(Dinov2Model(config).eval(), name="tiny", long_side=352)
    model = AnyChange(features=features)
    changes = model.detect(village.before, village.after, top_k=3)
    truth = village.truth("roof", "other roof", "pool")
    for mask in changes.masks():
        assert (mask & truth).sum() / mask.sum() > 0.5
    assert model.angle == 35.0


def test_the_answer_says_which_features(model: AnyChange, village: Any) -> None:
    assert model.describe()["features"] == "colours"
    assert AnyChange().describe()["features"] is None
    changes = model.detect(village.before, village.after)
    assert (changes.settings["model"], changes.settings["features"]) == ("regions", "colours")


@pytest.mark.parametrize("preset", ["default", "paper", "paper-xview2"])
def test_the_default_angle_is_the_features_whatever_the_preset(preset: str) -> None:
    model = AnyChange(features=Colours(), preset=preset)
    assert model.angle == model.describe()["default_angle_deg"] == 12.0


def test_one_pixel_and_alike_images_have_no_change(model: AnyChange) -> None:
    for shape in ((1, 1, 3), (40, 60, 3)):
        flat = np.full(shape, 90, np.uint8)
        assert len(model.detect(flat, flat.copy())) == 0


def test_features_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(ModelError, match="unknown features 'dino'"):
        AnyChange(features="dino")
    with pytest.raises(UsageError, match="got 'regions'"):
        AnyChange(features="sam-key")


def test_compat_knows_no_other_features(sam_folder: Path) -> None:
    with pytest.raises(UsageError, match="leave out features"):
        AnyChange(str(sam_folder), features="sam-key", compat="torchange")
