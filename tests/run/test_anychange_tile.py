"""What a run of a scene asks of AnyChange; what it finds in a window is tested in `test_tile`."""

from pathlib import Path

import numpy as np
import pytest

from terradelta import AnyChange
from terradelta.errors import UsageError
from terradelta.run.anychange_tile import AnyChangeScene
from terradelta.run.choose import Choice
from terradelta.sam.checkpoint import load_path
from terradelta.sam.sam import SamSegmenter


def test_a_canvas_is_filled_by_core_and_halo_and_without_one_windows_are_cut(
    sam_folder: Path,
) -> None:
    regions = AnyChangeScene(AnyChange()).tiling(None)
    assert (regions.core, regions.halo, regions.clipped) == (1024, 256, True)
    scene = AnyChangeScene(AnyChange(str(sam_folder)))
    for halo, core in ((None, 128), (32, 192), (100, 128)):
        tiling = scene.tiling(halo)
        assert tiling.core == core
        assert not tiling.clipped


def test_tiles_depend_on_the_weights_and_the_proposals_but_not_on_the_threshold(
    sam_folder: Path,
) -> None:
    def identity(network: object, **settings: float) -> dict[str, object]:
        return AnyChangeScene(AnyChange(SamSegmenter(network, name="sam"), **settings)).identity()  # type: ignore[arg-type]

    first = identity(load_path(sam_folder))
    assert identity(load_path(sam_folder)) == first
    assert "default_angle_deg" not in first
    assert identity(load_path(sam_folder), nms=0.5) != first
    other = load_path(sam_folder)
    other.mask_decoder.iou_token.weight.data[0, 0] += 1
    changed = identity(other)
    assert {name for name in first if first[name] != changed[name]} == {"weights_sha256"}


def test_a_probability_chooses_nothing_and_an_angle_does() -> None:
    scene = AnyChangeScene(AnyChange())
    scene.check(Choice(angle=20.0))
    scene.check(Choice(threshold="otsu"))
    with pytest.raises(UsageError, match=r"the threshold 0\.5 is a detector's probability"):
        scene.check(Choice(threshold=0.5))
    with pytest.raises(UsageError, match="contradict"):
        scene.check(Choice(angle=20.0, top_k=3))


def test_objects_have_the_angle_and_its_score() -> None:
    scene = AnyChangeScene(AnyChange())
    columns = scene.columns(np.array([0.0, 90.0, 180.0]))
    np.testing.assert_array_equal(columns["angle"], [0, 90, 180])
    np.testing.assert_allclose(columns["score"], [-1, 0, 1], atol=1e-6)
    assert scene.describe_threshold(23.00004) == {"threshold_deg": 23.0}
