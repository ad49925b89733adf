from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from terradelta.bench import peers
from terradelta.bench.random_weights import random_network
from terradelta.bench.settings import Thresholds, some_points
from terradelta.errors import ModelError, UsageError
from terradelta.geo.pair import load_pair
from terradelta.synth import Scene

CPU = torch.device("cpu")
LIMITS = Thresholds(pred_iou=0.3, stability=0.5, nms=0.7, angle=15.0)
Make = Callable[..., peers.Peer]


@pytest.fixture(scope="module")
def make() -> Make:
    pytest.importorskip("segment_anything")
    network = random_network("tiny")

    def peer(name: str, points: Any = slice(None), device: torch.device = CPU) -> peers.Peer:
        chosen = np.arange(64)[points]
        return peers.make_peer(name, network, LIMITS, 8, chosen, device, torch.float32)

    return peer


def test_torchange_is_left_as_it_was_found(make: Make, scene: Scene) -> None:
    module = pytest.importorskip("torchange.models.segment_any_change.anychange")
    before = module.rle_to_mask
    registry = pytest.importorskip("torchange.models.segment_any_change.base").sam_model_registry
    names = set(registry)
    make("torchange").run(load_pair(scene.before, scene.after))
    assert module.rle_to_mask is before
    assert set(registry) == names


@pytest.mark.parametrize("name", ["torchange", "transformers"])
def test_runs_repeat_and_points_are_a_part_of_the_grid(make: Make, scene: Scene, name: str) -> None:
    if name == "torchange":
        pytest.importorskip("torchange.models.segment_any_change")
    pair = load_pair(scene.before, scene.after)
    peer = make(name)
    first, again = peer.run(pair), peer.run(pair)
    np.testing.assert_array_equal(first.answer.masks.dense(), again.answer.masks.dense())
    np.testing.assert_array_equal(first.answer.score, again.answer.score)
    assert first.matched == again.matched >= len(first.answer.masks) > 0
    assert 0 < first.match_fixed <= first.seconds.match
    some = make(name, some_points(64, 0)[::8]).run(pair)
    assert some.matched < first.matched


def test_a_peer_that_is_not_installed_is_named_with_its_remedy(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers.Torchange, "home", "torchange_that_is_not_here")
    with pytest.raises(ModelError, match=r'torchange .* `pip install "terradelta\[bench\]"`'):
        make("torchange")


def test_torchange_has_no_mps(make: Make) -> None:
    with pytest.raises(UsageError, match="cpu or cuda, not on mps"):
        make("torchange", device=torch.device("mps"))
