"""Parity with torchange 0.0.4, the authors' release, on the same random network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from terradelta import AnyChange, Changes
from terradelta.errors import QueryError, UsageError
from terradelta.synth import Scene

POINTS_PER_SIDE = 8
T = 172
ANGLE = 180.0 - T
SETTINGS: dict[str, Any] = {
    "points_per_side": POINTS_PER_SIDE,
    "pred_iou": 0.5,
    "stability": 0.3,
    "compat": "torchange",
}
CLICKS = [(60, 60, "after"), (150, 100, "before")]
PIXELS_OF_ROUNDING = 1e-4

Reference = Callable[..., Any]


@pytest.fixture(scope="module")
def reference(original_sam: torch.nn.Module) -> Reference:
    """Makes torchange's AnyChange with our settings; it keeps state from one call to the next."""
    torchange = pytest.importorskip("torchange.models.segment_any_change")
    torchange.base.sam_model_registry["tiny"] = lambda checkpoint: original_sam

    def make(*, nms: float = 1.0, **matching: Any) -> Any:
        model = torchange.AnyChange("tiny", None)
        model.make_mask_generator(
            points_per_side=POINTS_PER_SIDE,
            pred_iou_thresh=SETTINGS["pred_iou"],
            stability_score_thresh=SETTINGS["stability"],
            box_nms_thresh=nms,
        )
        model.set_hyperparameters(**matching)
        return model

    return make


@pytest.fixture(scope="module")
def model(sam_file: Path) -> AnyChange:
    return AnyChange(str(sam_file), nms=1.0, **SETTINGS)


def assert_same(ours: Changes, rles: list[dict[str, Any]], confidence: torch.Tensor) -> None:
    from torchange.models.segment_any_change.segment_anything.utils.amg import rle_to_mask

    assert len(ours) == len(rles)
    mine, other = (
        np.float32(masks).reshape(len(ours), -1)
        for masks in (ours.masks(), np.stack([rle_to_mask(rle) for rle in rles]))
    )
    # Rounding decides the order of masks whose predicted IoU is all but the same.
    different = mine.sum(1)[:, None] + other.sum(1) - 2 * mine @ other.T
    rows, columns = linear_sum_assignment(different)
    assert abs(rows - columns).max() <= 1
    assert different[rows, columns].sum() / mine.size < PIXELS_OF_ROUNDING
    np.testing.assert_allclose(ours.score, confidence.numpy()[columns], atol=1e-4)


@pytest.mark.parametrize(("nms", "at_least"), [(0.7, 1), (0.99, 6), (1.0, 50)])
def test_masks_and_scores_are_those_of_torchange(
    reference: Reference, sam_file: Path, scene: Scene, nms: float, at_least: int
) -> None:
    theirs = reference(nms=nms, change_confidence_threshold=T)(scene.before, scene.after)
    model = AnyChange(str(sam_file), nms=nms, **SETTINGS)
    ours = model.detect(scene.before, scene.after, angle=ANGLE)
    assert len(ours) >= at_least
    assert_same(ours, theirs["masks"], theirs["scores"])


@pytest.mark.parametrize("clicks", [CLICKS[:1], CLICKS])
def test_point_queries_are_those_of_torchange(
    reference: Reference, model: AnyChange, scene: Scene, clicks: list[tuple[int, int, str]]
) -> None:
    theirs = reference(change_confidence_threshold=T, object_sim_thresh=60)
    numbered = np.array([(x, y, 1 + (date == "after")) for x, y, date in clicks])
    found = theirs.multi_points_match(numbered, scene.before, scene.after)
    ours = model.query(scene.before, scene.after, clicks, angle=ANGLE, object_angle=60)
    assert 0 < len(ours) < len(model.detect(scene.before, scene.after, angle=ANGLE))
    assert_same(ours, found["rles"], found["change_confidence"])


def test_the_automatic_threshold_is_that_of_torchange(
    reference: Reference, model: AnyChange, scene: Scene
) -> None:
    theirs = reference(auto_threshold=True)
    upside_down = scene.after[::-1].copy()
    theirs(scene.before, upside_down)
    ours = model.detect(scene.before, upside_down, threshold="otsu")
    # Its histogram has one bin a pixel: rounding moves the threshold by a few bins.
    assert ours.threshold == pytest.approx(180 - theirs.change_confidence_threshold, abs=0.05)


def test_it_is_for_sam_on_square_images(model: AnyChange, scene: Scene) -> None:
    with pytest.raises(UsageError, match="256 x 200 px"):
        model.detect(scene.before[:200], scene.after[:200])
    with pytest.raises(UsageError, match="regions"):
        AnyChange(compat="torchange").detect(scene.before, scene.after)
    with pytest.raises(UsageError, match="otsu"):
        model.detect(scene.before, scene.after, top_k=3)


def test_a_click_where_no_mask_passes_is_named(sam_file: Path, scene: Scene) -> None:
    strict = AnyChange(str(sam_file), **{**SETTINGS, "pred_iou": 1.0, "stability": 1.0})
    with pytest.raises(QueryError, match=r"\(60, 60, after\) gives no mask that passes"):
        strict.query(scene.before, scene.after, CLICKS)
