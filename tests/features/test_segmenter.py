import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from terradelta import load_segmenter
from terradelta.features.dinov2 import Dinov2Features
from terradelta.features.keys import SamKeyFeatures
from terradelta.features.segmenter import WithFeatures
from terradelta.sam.regions import RegionSegmenter
from terradelta.sam.sam import SamSegmenter
from terradelta.synth import Scene

POINTS = np.array([[40.0, 60.0], [128.0, 128.0], [200.0, 90.0]])


@pytest.fixture
def matched(dinov2: object, sam: SamSegmenter) -> WithFeatures:
    return WithFeatures(sam, Dinov2Features(dinov2, name="tiny", long_side=70))


def test_masks_are_the_segmenters(matched: WithFeatures, sam: SamSegmenter, scene: Scene) -> None:
    mine = matched.decode(matched.encode(scene.before), POINTS, min_iou=0.1, min_stability=0.2)
    its = sam.decode(sam.encode(scene.before), POINTS, min_iou=0.1, min_stability=0.2)
    assert len(mine) > 0
    np.testing.assert_array_equal(mine.masks.dense(), its.masks.dense())
    np.testing.assert_array_equal(mine.iou, its.iou)
    coarse = sam.decode(sam.encode(scene.before), POINTS, min_stability=0.7, coarse_stability=True)
    also = matched.decode(
        matched.encode(scene.before), POINTS, min_stability=0.7, coarse_stability=True
    )
    np.testing.assert_array_equal(also.stability, coarse.stability)


def test_the_embedding_is_the_encoders(matched: WithFeatures, scene: Scene) -> None:
    expected = matched.features.encode(scene.after)
    for embedding in (
        matched.encode(scene.after).embedding,
        matched.encode_both(scene.before, scene.after)[1].embedding,
    ):
        assert torch.equal(embedding.z, expected.z)
        np.testing.assert_array_equal(embedding.columns.fraction, expected.columns.fraction)


def test_both_dates_get_their_own_context(dinov2: object, scene: Scene) -> None:
    regions = RegionSegmenter()
    matched = WithFeatures(regions, Dinov2Features(dinov2, name="tiny", long_side=70))
    valid = np.ones((256, 256), bool)
    contexts = matched.pair_contexts(scene.before, scene.after, valid)
    stored = [matched.store_context(one) for one in contexts]
    restored = matched.restore_context(stored[0]), matched.restore_context(stored[1])
    mine = matched.encode_both(scene.before, scene.after, restored)
    own = regions.encode_both(
        scene.before, scene.after, regions.pair_contexts(scene.before, scene.after, valid)
    )
    for date, its in zip(mine, own, strict=True):
        masks = matched.decode(date, POINTS).masks
        np.testing.assert_array_equal(masks.dense(), regions.decode(its, POINTS).masks.dense())


def test_rules_are_the_segmenters_and_angles_the_encoders(
    matched: WithFeatures, sam: SamSegmenter
) -> None:
    assert (matched.pixel_rule, matched.overlap_rule) == ("union", "boxes")
    assert (matched.name, matched.canvas_px) == (sam.name, 256)
    assert (matched.defaults.angle, matched.defaults.object_angle) == (35.0, 60.0)
    assert matched.defaults.points_per_side == sam.defaults.points_per_side
    regions = WithFeatures(RegionSegmenter(), matched.features)
    assert (regions.pixel_rule, regions.overlap_rule) == ("mean", "layer")
    assert (regions.canvas_px, regions.name) == (None, "regions")


def test_it_can_be_sent_to_another_process(sam_folder: Path, scene: Scene) -> None:
    own = load_segmenter(str(sam_folder))
    assert isinstance(own, SamSegmenter)
    matched = WithFeatures(own, SamKeyFeatures(own))
    sent = pickle.loads(pickle.dumps(matched))  # noqa: S301
    assert torch.equal(
        sent.encode(scene.before).embedding.z, matched.encode(scene.before).embedding.z
    )
