from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from terradelta import AnyChange
from terradelta.bench.cases import Choice
from terradelta.bench.directions import DIRECTIONS, direction_cases, examine
from terradelta.geo.pair import load_pair
from terradelta.sam.masks import Masks
from terradelta.sam.segmenter import Axis, Defaults, Embedding, Encoded, Proposals, Segmenter
from terradelta.synth import Scene

from .made import made_sample, pair_of


@pytest.fixture(scope="module", params=["regions", "sam"])
def model(request: pytest.FixtureRequest) -> AnyChange:
    if request.param == "regions":
        return AnyChange()
    folder: Path = request.getfixturevalue("sam_folder")
    return AnyChange(str(folder), points_per_side=6, pred_iou=0.3, stability=0.3)


def test_both_directions_are_anychange(model: AnyChange, scene: Scene) -> None:
    both = examine(model, load_pair(scene.before, scene.after))["both directions"].detect()
    usual = model.detect(scene.before, scene.after)
    assert both.rles == usual.rles
    assert (both.angle == usual.angle).all()
    assert (both.pixel_angle == usual.pixel_angle).all()


def test_a_direction_has_the_masks_of_one_date(model: AnyChange, scene: Scene) -> None:
    found = examine(model, load_pair(scene.before, scene.after))
    for direction, date in (("before to after", "before"), ("after to before", "after")):
        changes = found[direction].detect(angle=0)
        assert len(changes)
        assert set(changes.date) == {date}


def test_of_duplicates_one_is_dropped_in_both_directions_and_none_in_one() -> None:
    """The mask of *after* is that of *before*, one column further: an IoU of 0.82."""
    before, after = np.full((2, 16, 16, 3), (10, 50, 50), np.uint8)
    after[0, 0, 0] = 255  # tells the dates apart
    after[4:14, 5:15] = 200
    pair = load_pair(before, after)
    model = AnyChange(_OneMask())
    kept = {name: session.detect(angle=0) for name, session in examine(model, pair).items()}
    assert {name: changes.date for name, changes in kept.items()} == {
        "both directions": ["after"],
        "before to after": ["before"],
        "after to before": ["after"],
    }
    assert kept["before to after"].angle < kept["after to before"].angle


class _OneMask(Segmenter):
    """Ten columns of a box from column 4 in *before*, from 5 in *after*; the embedding is the image."""

    name = "one mask"
    canvas_px = 16
    defaults = Defaults(10, 10, 1, 0, 0, 0.7)

    def encode(self, image: NDArray[np.uint8], context: Any = None) -> Encoded:
        z = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))
        axis = Axis.half_pixel(16, 1.0, 16)
        return Encoded((16, 16), Embedding(z, axis, axis), 5 if image[0, 0, 0] == 255 else 4)

    def decode(self, encoded: Encoded, points: NDArray[Any], **_: Any) -> Proposals:
        box = np.zeros((1, 16, 16), bool)
        box[0, 4:14, encoded.state : encoded.state + 10] = True
        one = np.ones(1, np.float32)
        return Proposals(Masks.from_dense(box), one, one, np.zeros(1, np.int64))


def test_exchanging_the_dates_exchanges_the_directions(model: AnyChange) -> None:
    pair = pair_of(0, 3)
    forth = examine(model, load_pair(pair.before, pair.after))
    back = examine(model, load_pair(pair.after, pair.before))
    for one, other in (
        ("before to after", "after to before"),
        ("after to before", "before to after"),
    ):
        assert np.allclose(
            forth[one].detect().pixel_angle, back[other].detect().pixel_angle, atol=1e-3
        )


def test_what_appears_is_a_mask_of_after() -> None:
    sample = made_sample(0, 4)
    (case,) = direction_cases(Choice(()), "folder")
    assert [row.condition for row in case.rows] == list(DIRECTIONS)
    trials = case.load().ask(sample).trials
    masks = {row.condition: trials[row.key][0].answer for row in case.rows}
    truth = sample.truth()
    assert masks["after to before"][truth].mean() > 0.9
    assert masks["both directions"][truth].mean() > 0.9
