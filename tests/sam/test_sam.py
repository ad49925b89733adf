from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from terradelta import load_segmenter
from terradelta.errors import UsageError
from terradelta.sam.sam import SamSegmenter, resized_shape, stability_of
from terradelta.synth import Scene


@pytest.fixture(scope="module")
def sam(sam_folder: Path) -> SamSegmenter:
    segmenter = load_segmenter(str(sam_folder))
    assert isinstance(segmenter, SamSegmenter)
    return segmenter


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((512, 1024), (512, 1024)), ((300, 200), (1024, 683)), ((1, 5000), (1, 1024))],
)
def test_the_long_side_fills_the_canvas(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    assert resized_shape(shape, 1024) == expected


def test_stability_is_the_inner_over_the_outer_area() -> None:
    logits = torch.full((3, 4, 4), -5.0)
    logits[0, :2] = 5.0
    logits[0, 2] = 0.0
    logits[1, 0, 0] = 2.0
    assert stability_of(logits).tolist() == pytest.approx([8 / 12, 1.0, 0.0])


def test_masks_iou_and_stability_are_those_of_the_original(
    sam: SamSegmenter, original_sam: Any, scene: Scene
) -> None:
    predictor = pytest.importorskip("segment_anything").SamPredictor(original_sam)
    predictor.set_image(scene.before[:200])
    point = np.array([[70.0, 120.0]])
    logits, iou, _ = predictor.predict(point, np.ones(1), multimask_output=True, return_logits=True)
    found = sam.decode(sam.encode(scene.before[:200]), point, min_iou=-10.0)
    assert len(found) == 3
    np.testing.assert_allclose(found.iou, iou, atol=1e-4)
    assert (found.masks.dense() != (logits > 0)).mean() < 1e-3
    inner, outer = (logits > 1).sum((1, 2)), (logits > -1).sum((1, 2))
    # Of masks of some hundred pixels, whose boundary rounding can move.
    np.testing.assert_allclose(found.stability, inner / outer, atol=0.01)


def test_thresholds_drop_what_lies_below_them(sam: SamSegmenter, scene: Scene) -> None:
    encoded = sam.encode(scene.before)
    points = np.array([[x, y] for x in (40.0, 120.0, 200.0) for y in (50.0, 150.0)])
    everything = sam.decode(encoded, points, min_iou=-10.0)
    iou, stability = np.median(everything.iou), np.quantile(everything.stability, 0.3)
    kept = sam.decode(encoded, points, min_iou=iou, min_stability=stability)
    expected = (everything.iou > iou) & (everything.stability >= stability)
    assert 0 < expected.sum() < len(everything)
    np.testing.assert_array_equal(kept.point, everything.point[expected])
    np.testing.assert_array_equal(kept.masks.dense(), everything.masks.dense()[expected])


def test_points_do_not_depend_on_their_batch(sam: SamSegmenter, scene: Scene) -> None:
    encoded = sam.encode(scene.before)
    points = np.random.default_rng(0).uniform(0, 256, (21, 2))
    together = sam.decode(encoded, points, min_iou=-10.0)
    last = sam.decode(encoded, points[-1:], min_iou=-10.0)
    mine = together[together.point == 20]
    np.testing.assert_allclose(mine.iou, last.iou, atol=1e-5)
    assert (mine.masks.dense() != last.masks.dense()).mean() < 1e-3


def test_coarse_stability_is_that_of_the_low_resolution_logits(
    sam: SamSegmenter, scene: Scene
) -> None:
    encoded = sam.encode(scene.before)
    points = np.random.default_rng(1).uniform(0, 256, (8, 2))
    shared = encoded.state.shared
    with torch.inference_mode():
        decoded = sam._decoder.decode(shared, sam._prompts(encoded, points))
        every = torch.ones_like(decoded.iou, dtype=torch.bool)
        stability = stability_of(sam._decoder.masks(shared, decoded, every))
    limit = float(stability.median()) - 1e-4
    found = sam.decode(encoded, points, min_iou=-10.0, min_stability=limit, coarse_stability=True)
    assert len(found) == (stability >= limit).sum()
    exact = sam.decode(encoded, points, min_iou=-10.0)
    assert set(found.iou) <= set(exact.iou)


def test_no_points_give_no_masks(sam: SamSegmenter, scene: Scene) -> None:
    assert len(sam.decode(sam.encode(scene.before), np.zeros((0, 2)))) == 0


def test_bfloat16_stays_close(sam_folder: Path, sam: SamSegmenter, scene: Scene) -> None:
    half = load_segmenter(str(sam_folder), dtype=torch.bfloat16)
    exact, rounded = sam.encode(scene.before).embedding.z, half.encode(scene.before).embedding.z
    assert rounded.dtype == torch.float32
    cosine = torch.cosine_similarity(exact, rounded, dim=0)
    assert 0.99 < cosine.min() < 1
    encoded, points = sam.encode(scene.before), np.array([[60.0, 60.0], [200.0, 90.0]])
    same, again = (s.decode(encoded, points, min_iou=-10.0) for s in (sam, half))
    np.testing.assert_array_equal(same.masks.dense(), again.masks.dense())


def test_both_dates_in_one_batch_are_as_one_by_one(sam: SamSegmenter, scene: Scene) -> None:
    images = [scene.before, scene.after[:200]]
    for together, alone in zip(sam._encode(images), map(sam.encode, images), strict=True):
        assert together.shape == alone.shape
        torch.testing.assert_close(together.embedding.z, alone.embedding.z, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(together.embedding.rows.lower, alone.embedding.rows.lower)


def test_an_absent_device_is_named(sam_folder: Path) -> None:
    absent = "cuda" if not torch.cuda.is_available() else "mps"
    with pytest.raises(UsageError, match=f"'{absent}' is not available"):
        load_segmenter(str(sam_folder), device=absent)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_what_the_cpu_gives(sam_folder: Path, sam: SamSegmenter, scene: Scene) -> None:
    on_gpu = load_segmenter(str(sam_folder), device="cuda")
    points = np.array([[60.0, 60.0], [200.0, 90.0]])
    ours, theirs = (s.decode(s.encode(scene.before), points, min_iou=-10.0) for s in (sam, on_gpu))
    np.testing.assert_allclose(ours.iou, theirs.iou, atol=1e-3)
    assert (ours.masks.dense() != theirs.masks.dense()).mean() < 0.01
