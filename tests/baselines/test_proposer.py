from typing import Any

import numpy as np
import pytest

from terradelta.baselines.proposer import Proposer
from terradelta.errors import UsageError
from terradelta.geo.pair import load_pair
from terradelta.sam.regions import RegionSegmenter
from terradelta.synth import Scene
from terradelta.types import silent
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.candidates import search


def test_proposals_are_those_of_anychange(scene: Scene) -> None:
    pair = load_pair(scene.before[:100], scene.after[:100])
    settings: dict[str, Any] = {"points_per_side": 24, "nms": 0.6}
    model = AnyChange(**settings)
    candidates = search(model.segmenter, pair, model.settings, 1).candidates
    _, proposals = Proposer(**settings).propose(pair, silent)
    for date, found in enumerate(proposals):
        theirs = candidates[candidates.date == date].masks
        assert {r["counts"] for r in found.masks.rles()} == {r["counts"] for r in theirs.rles()}
        assert len(found) > 20


def test_pixels_of_nested_regions_hold_their_mean(given: Any, rectangle: Any) -> None:
    """As AnyChange does it for `regions`; SAM's have the largest."""

    class Nested(given):  # type: ignore[misc]
        pixel_rule = "mean"

    outer, inner = rectangle(0, 4, 0, 8), rectangle(0, 4, 0, 4)
    image = np.zeros((10, 20, 3), np.uint8)
    pair = load_pair(image, image)
    score = np.array([0.4, 0.8], np.float32)
    for kind, both in ((Nested, 0.6), (given, 0.8)):
        proposer = Proposer(kind([outer, inner], []))
        _, proposals = proposer.propose(pair, silent)
        answer = proposer.answer(pair, proposals, score, 0.5, {})
        painted = answer.score_image()
        np.testing.assert_allclose(painted[outer & ~inner], 0.4, rtol=1e-6)
        np.testing.assert_allclose(painted[inner], both, rtol=1e-6)
        np.testing.assert_array_equal(answer.to_mask(), inner)
        assert answer.score.tolist() == pytest.approx([0.8])


def test_of_duplicates_the_more_changed_is_kept(given: Any, rectangle: Any) -> None:
    mask, almost = rectangle(0, 4, 0, 8), rectangle(0, 4, 0, 7)
    image = np.zeros((10, 20, 3), np.uint8)
    pair = load_pair(image, image)
    for nms, kept in ((0.7, [0.9]), (0.9, [0.9, 0.6])):
        proposer = Proposer(given([mask], [almost]), nms=nms)
        _, proposals = proposer.propose(pair, silent)
        answer = proposer.answer(pair, proposals, np.array([0.6, 0.9], np.float32), 0.5, {})
        assert answer.score.tolist() == pytest.approx(kept)


def test_settings_are_described_and_checked() -> None:
    told = Proposer(preset="paper", stability=0.9).describe()
    assert told["segmenter"] == "regions"
    assert (told["points_per_side"], told["pred_iou"], told["stability"]) == (64, 0.5, 0.9)
    with pytest.raises(UsageError, match="nms is 2"):
        Proposer(nms=2)
    with pytest.raises(TypeError, match="upscale"):
        Proposer(upscale=2)  # type: ignore[call-arg]


def test_a_loaded_segmenter_is_used_as_it_is() -> None:
    segmenter = RegionSegmenter()
    assert Proposer(segmenter).segmenter is segmenter
