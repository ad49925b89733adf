"""Inference: the pipeline of AnyChange with the score network's angles."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from terradelta.errors import UsageError
from terradelta.oracle import Oracle, OracleNetwork, load_oracle, save_oracle
from terradelta.sam.fingerprint import fingerprint
from terradelta.synth import Scene

SETTINGS: dict[str, Any] = {"points_per_side": 12, "pred_iou": 0.2, "stability": 0.0, "nms": 0.9}


@pytest.fixture
def oracle(network: OracleNetwork, tmp_path: Path) -> Oracle:
    return load_oracle(save_oracle(network.eval(), tmp_path), **SETTINGS)


def test_a_mask_is_scored_by_the_mean_of_the_features_within_it(
    oracle: Oracle, scene: Scene
) -> None:
    changes = oracle.detect(scene.before, scene.after, angle=0)
    assert len(changes) > 3
    segmenter = oracle.segmenter
    maps = []
    for image in (scene.before, scene.after):
        z = segmenter.encode(image).embedding.z[None]
        maps.append(torch.nn.functional.interpolate(z, image.shape[:2], mode="bilinear")[0].numpy())
    for mask, angle in list(zip(changes.masks(), changes.angle, strict=True))[:5]:
        before, after = (each[:, mask].mean(1)[None].astype(float) for each in maps)
        assert segmenter.score.angles(before, after)[0] == pytest.approx(float(angle), abs=0.05)


def test_the_embedding_is_that_of_the_network_in_training(
    network: OracleNetwork, oracle: Oracle, scene: Scene
) -> None:
    from terradelta.detectors import normalise

    shown = normalise(torch.from_numpy(scene.before.transpose(2, 0, 1).copy())[None])
    with torch.inference_mode():
        expected = network.score.features(network.embeddings(shown))[0]
    found = oracle.segmenter.encode(scene.before).embedding.z
    torch.testing.assert_close(found, expected, atol=1e-2, rtol=1e-2)


def test_nothing_changes_between_a_picture_and_itself_unless_it_was_learnt(
    network: OracleNetwork, scene: Scene, tmp_path: Path
) -> None:
    with torch.no_grad():
        network.score.score.bias.fill_(-1)
    oracle = load_oracle(save_oracle(network, tmp_path), **SETTINGS)
    changes = oracle.detect(scene.before, scene.before)
    assert len(changes) == 0
    assert not changes.to_mask().any()
    everything = oracle.detect(scene.before, scene.before, angle=1)
    expected = np.degrees(2 * np.arctan(np.exp(-0.5)))
    np.testing.assert_allclose(everything.angle, expected, atol=1e-3)


def test_thresholds_and_answers_are_those_of_anychange(oracle: Oracle, scene: Scene) -> None:
    everything = oracle.detect(scene.before, scene.after, angle=0)
    assert (np.diff(everything.angle) <= 0).all()
    three = oracle.detect(scene.before, scene.after, top_k=3)
    np.testing.assert_array_equal(three.angle, everything.angle[:3])
    even = oracle.detect(scene.before, scene.after)
    assert even.threshold == 90
    assert len(even) == (everything.angle > 90).sum()
    np.testing.assert_array_equal(even.to_mask(), even.pixel_angle > 90)
    assert even.settings["oracle"]
    assert even.settings["default_angle_deg"] == 90
    with pytest.raises(UsageError, match="contradict"):
        oracle.detect(scene.before, scene.after, angle=3, top_k=2)
    with pytest.raises(UsageError, match="nms is 2"):
        Oracle(oracle.segmenter.network, oracle.segmenter.score, name="x", nms=2)
    for name in ("features", "compat"):
        with pytest.raises(UsageError, match=f"scores its own embedding: leave out {name}"):
            Oracle(oracle.segmenter.network, oracle.segmenter.score, name="x", **{name: "sam-key"})


def test_a_preset_is_of_the_proposals(oracle_folder: Path) -> None:
    assert load_oracle(oracle_folder, preset="paper").angle == 90
    assert load_oracle(oracle_folder, preset="paper").settings.points_per_side == 64


def test_other_weights_are_another_oracle(
    network: OracleNetwork, oracle: Oracle, oracle_folder: Path, tmp_path: Path
) -> None:
    told, again = (
        fingerprint(*one.segmenter.networks()) for one in (oracle, load_oracle(oracle_folder))
    )
    assert again == told
    with torch.no_grad():
        network.score.score.bias.add_(1e-3)
    other = load_oracle(save_oracle(network, tmp_path), **SETTINGS)
    assert fingerprint(*other.segmenter.networks()) != told


def test_windows_of_full_detail_are_scored_as_well(oracle_folder: Path, scene: Scene) -> None:
    """Of a picture enlarged twice the canvas shows four windows, in each of which the scores hold."""
    close = load_oracle(oracle_folder, upscale=2, **SETTINGS)
    changes = close.detect(scene.before, scene.after, angle=0)
    assert len(changes) > 3
    assert changes.pixel_angle.shape == scene.before.shape[:2]
    with torch.no_grad():
        close.segmenter.score.score.weight.zero_()
        close.segmenter.score.score.bias.fill_(2)
    certain = close.detect(scene.before, scene.after, angle=0)
    np.testing.assert_allclose(certain.angle, np.degrees(2 * np.arctan(np.exp(1))), atol=1e-3)


def test_wide_images_too(oracle: Oracle, noise_pair: Any) -> None:
    changes = oracle.detect(*noise_pair, angle=0)
    assert changes.pixel_angle.shape == (96, 160)
    assert np.isfinite(changes.pixel_angle).all()


def test_a_click_is_compared_in_the_features_of_the_score_network(
    oracle: Oracle, scene: Scene
) -> None:
    every = {"points": [(128, 128, "after")], "object_angle": 180, "angle": 0}
    alike = oracle.query(scene.before, scene.after, **every)
    everything = oracle.detect(scene.before, scene.after, angle=0)
    np.testing.assert_array_equal(alike.angle, everything.angle)
    few = oracle.query(scene.before, scene.after, **{**every, "object_angle": 5})
    assert len(few) < len(everything)


def test_it_reaches_the_workers_of_a_scene(oracle: Oracle, scene: Scene) -> None:
    sent = pickle.loads(pickle.dumps(oracle))  # noqa: S301
    expected = oracle.detect(scene.before, scene.after, top_k=5)
    found = sent.detect(scene.before, scene.after, top_k=5)
    np.testing.assert_array_equal(found.angle, expected.angle)
