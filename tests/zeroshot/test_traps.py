"""The eight traps of the authors' release (torchange 0.0.4), each kept shut by a named test."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch

from terradelta import AnyChange, Changes
from terradelta.errors import InputError, QueryError
from terradelta.sam.masks import Masks
from terradelta.sam.sam import SamSegmenter
from terradelta.sam.segmenter import (
    RGB,
    Axis,
    Defaults,
    Embedding,
    Encoded,
    Proposals,
    Segmenter,
)
from terradelta.synth import Scene
from terradelta.zeroshot.matching import angles_between, mask_means

CLICK = [(128, 128, "after")]
LOOSE: dict[str, Any] = {"points_per_side": 6, "pred_iou": 0.5, "stability": 0.3, "nms": 1.0}


@pytest.fixture(scope="module")
def sam(sam_file: Path) -> AnyChange:
    return AnyChange(str(sam_file), **LOOSE)


@pytest.fixture(scope="module", params=["regions", "sam"])
def model(request: pytest.FixtureRequest) -> AnyChange:
    return AnyChange() if request.param == "regions" else request.getfixturevalue("sam")


def summary(changes: Changes) -> list[Any]:
    return [changes.threshold, changes.date, changes.angle.tolist(), changes.rles]


def test_trap_1_a_second_pair_does_not_see_the_first(model: AnyChange, scene: Scene) -> None:
    pairs = (scene.before, scene.after), (scene.before[::-1], scene.after[:, ::-1])
    alone = [summary(model.detect(*pair, angle=5)) for pair in pairs]
    again = [summary(model.detect(*pair, angle=5)) for pair in reversed(pairs)][::-1]
    assert alone == again
    assert alone[0] != alone[1]


def test_trap_1_calls_in_a_row_give_what_fresh_processes_give(
    sam: AnyChange, sam_file: Path, scene: Scene, tmp_path: Path
) -> None:
    scene.save(tmp_path)
    pairs = [("before.tif", "after.tif"), ("after.tif", "before.tif")]
    in_a_row = [sam.detect(*(tmp_path / name for name in pair), angle=5) for pair in pairs]
    program = """
import json, sys
from terradelta import AnyChange
changes = AnyChange(sys.argv[1], **json.loads(sys.argv[2])).detect(*sys.argv[3:], angle=5)
print(json.dumps([changes.threshold, changes.date, changes.angle.tolist(), changes.rles]))
"""
    for pair, changes in zip(pairs, in_a_row, strict=True):
        arguments = [str(sam_file), json.dumps(LOOSE), *(str(tmp_path / name) for name in pair)]
        fresh = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
        )
        assert json.loads(fresh.stdout) == summary(changes)


def test_trap_2_a_point_query_leaves_nothing_behind(model: AnyChange, scene: Scene) -> None:
    first = summary(model.detect(scene.before, scene.after, angle=5))
    queried = summary(model.query(scene.before, scene.after, CLICK, angle=5))
    assert summary(model.detect(scene.before, scene.after, angle=5)) == first
    assert summary(model.query(scene.before, scene.after, CLICK, angle=5)) == queried


def test_trap_3_a_non_square_image_is_the_padded_square(sam: AnyChange, scene: Scene) -> None:
    """SAM pads at the bottom with its mean colour: here by hand, to the nearest 8-bit colour."""
    wide = scene.before[:128]
    padded = np.empty_like(scene.before)
    padded[:128], padded[128:] = wide, (124, 116, 104)
    segmenter = sam.segmenter
    assert isinstance(segmenter, SamSegmenter)
    encoded = segmenter.encode(wide), segmenter.encode(padded)
    point = np.array([[100.0, 60.0]])
    cut, whole = (segmenter.decode(e, point).masks.dense() for e in encoded)
    assert (cut != whole[:, :128]).mean() < 0.01
    mask = np.zeros((2, 256, 256), bool)
    mask[0, 90:120, 200:256] = mask[1, :120] = True
    means = [
        mask_means(Masks.from_dense(m), e.embedding)
        for m, e in zip((mask[:, :128], mask), encoded, strict=True)
    ]
    assert angles_between(*means).max() < 1.5


def test_trap_3_padding_is_never_read(sam: AnyChange, scene: Scene) -> None:
    segmenter = sam.segmenter
    assert isinstance(segmenter, SamSegmenter)
    encoded = segmenter.encode(scene.before[:100])
    z = encoded.embedding.z.clone()
    z[:, -(-100 // segmenter.patch) :] = torch.nan
    spoiled = Embedding(z, encoded.embedding.rows, encoded.embedding.columns)
    everything = Masks.from_dense(np.ones((1, 100, 256), bool))
    assert np.isfinite(mask_means(everything, spoiled)).all()


def test_trap_4_masks_and_features_share_one_convention(sam: AnyChange, scene: Scene) -> None:
    """The mean over the 16 px of one cell is near that cell: its centre lies on the pixels' centre."""
    encoded = sam.segmenter.encode(scene.before)
    ramp = torch.arange(16.0)[None, None, :].expand(1, 16, 16).contiguous()
    position = Encoded(
        encoded.shape,
        Embedding(ramp, encoded.embedding.rows, encoded.embedding.columns),
        encoded.state,
    )
    cells = np.zeros((14, 256, 256), bool)
    for cell in range(14):
        cells[cell, :, 16 * (cell + 1) : 16 * (cell + 2)] = True
    means = mask_means(Masks.from_dense(cells), position.embedding)
    np.testing.assert_allclose(means[:, 0], np.arange(1, 15), atol=1e-5)


def test_trap_5_otsu_does_not_change_later_calls(model: AnyChange, scene: Scene) -> None:
    first = model.detect(scene.before, scene.after)
    otsu = model.detect(scene.before, scene.after, threshold="otsu")
    assert otsu.threshold != first.threshold
    assert model.detect(scene.before, scene.after).threshold == first.threshold == model.angle


def test_trap_6_a_click_without_a_mask_is_named(sam_file: Path, scene: Scene) -> None:
    segmenter = SamSegmenter(AnyChange(str(sam_file)).segmenter.network, name="silent")
    for mlp in segmenter.network.mask_decoder.output_hypernetworks_mlps:
        torch.nn.init.zeros_(mlp.proj_out.weight)
        torch.nn.init.zeros_(mlp.proj_out.bias)
    with pytest.raises(QueryError, match=r"\(128, 128, after\) gives no mask"):
        AnyChange(segmenter, **LOOSE).query(scene.before, scene.after, CLICK)


def test_trap_6_two_sizes_are_named(model: AnyChange, scene: Scene) -> None:
    with pytest.raises(InputError, match="256 x 256 px, after 256 x 250 px"):
        model.detect(scene.before, scene.after[:250])


def test_trap_6_small_parts_of_masks_are_removed(sam_file: Path, scene: Scene) -> None:
    from skimage.measure import label

    clean = AnyChange(str(sam_file), **LOOSE, min_region_area=30)
    masks = clean.detect(scene.before, scene.after, angle=0).masks()
    assert len(masks) > 0
    for mask in masks:
        parts = label(mask, connectivity=2)
        assert np.bincount(parts.ravel())[1:].min() >= 30


def test_trap_7_the_date_of_a_mask_is_kept(scene: Scene) -> None:
    ground = np.full((128, 128, 3), 90, np.uint8)
    ground += np.random.default_rng(0).integers(0, 8, ground.shape, np.uint8)
    built = ground.copy()
    built[40:70, 50:90] = (200, 60, 40)
    model = AnyChange()
    for pair, date in (((ground, built), "after"), ((built, ground), "before")):
        changes = model.detect(*pair)
        best = changes.masks()[0]
        assert changes.date[0] == date
        assert best[45:65, 55:85].all()
        assert best.sum() < 1.2 * 30 * 40


def test_trap_7_more_than_a_thousand_results_are_kept(scene: Scene) -> None:
    noise = np.random.default_rng(1)
    before, after = (noise.integers(0, 256, (320, 320, 3), np.uint8) for _ in range(2))
    assert len(AnyChange().detect(before, after, angle=1)) > 1000


class TwoMasks(Segmenter):
    """One mask a date, nearly the same box: that of *before* looks better, that of *after* changed."""

    name = "two masks"
    canvas_px = None
    pixel_rule: ClassVar[Literal["union", "mean"]] = "union"
    overlap_rule: ClassVar[Literal["boxes", "layer"]] = "boxes"
    defaults = Defaults(20.0, 20.0, points_per_side=1, pred_iou=0.0, stability=0.0, nms=0.7)

    def encode(self, image: RGB, context: Any = None) -> Encoded:
        z = torch.ones(2, 32, 32)
        is_after = bool(image[0, 0, 0])
        z[0, :, 20:] = -1 if is_after else 1
        axes = Axis.half_pixel(32, 1, 32), Axis.half_pixel(32, 1, 32)
        return Encoded((32, 32), Embedding(z, *axes), is_after)

    def decode(self, encoded: Encoded, points: Any, **limits: float) -> Proposals:
        dense = np.zeros((1, 32, 32), bool)
        dense[0, 4:28, 4 : 24 if encoded.state else 22] = True
        iou = np.array([0.6 if encoded.state else 0.9], np.float32)
        return Proposals(Masks.from_dense(dense), iou, iou, np.zeros(1, np.int64))


def test_trap_7_duplicates_are_ranked_by_change() -> None:
    before, after = (np.full((32, 32, 3), value, np.uint8) for value in (0, 1))
    changes = AnyChange(TwoMasks()).detect(before, after, angle=1)
    assert changes.date == ["after"]
    assert changes.iou == pytest.approx([0.6])


def test_trap_8_a_larger_angle_is_stricter(model: AnyChange, scene: Scene) -> None:
    with model.session(scene.before, scene.after) as session:
        low, high = np.quantile(session.detect(angle=0).pixel_angle, (0.2, 0.8))
        loose, strict = session.detect(angle=low), session.detect(angle=high)
    assert loose.to_mask().sum() > strict.to_mask().sum() > 0
    assert not (strict.to_mask() & ~loose.to_mask()).any()
    assert strict.angle.min() > high > low
