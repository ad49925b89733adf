import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from terradelta import AnyChange, Changes
from terradelta.errors import QueryError, UsageError
from terradelta.sam.regions import RegionSegmenter
from terradelta.zeroshot.session import Session

ROOF, POOL = (40, 31, "after"), (130, 50, "after")
Summary = tuple[Any, ...]


class RegionsByRulesOfSam(RegionSegmenter):
    """Duplicates go by their boxes, and a pixel is as changed as the most changed mask on it."""

    pixel_rule = "union"
    overlap_rule = "boxes"


def summary(changes: Changes) -> Summary:
    """Everything an answer says, times aside."""
    settings = {name: value for name, value in changes.settings.items() if name != "seconds"}
    return (
        changes.rles,
        changes.angle.tolist(),
        changes.iou.tolist(),
        changes.stability.tolist(),
        changes.date,
        changes.threshold,
        changes.pixel_angle.tobytes(),
        json.dumps(settings, sort_keys=True),
    )


@pytest.fixture(scope="module")
def model() -> AnyChange:
    return AnyChange(points_per_side=32)


@pytest.fixture(scope="module")
def session(model: AnyChange, village: Any) -> Iterator[Session]:
    with model.session(village.before, village.after) as opened:
        assert isinstance(opened, Session)
        yield opened


@pytest.mark.parametrize("asked", [{}, {"angle": 35}, {"threshold": "otsu"}, {"top_k": 4}])
def test_a_session_answers_as_detect_does(
    session: Session, model: AnyChange, village: Any, asked: dict[str, Any]
) -> None:
    alone = model.detect(village.before, village.after, **asked)
    assert len(alone) > 0
    assert summary(session.detect(**asked)) == summary(alone)


@pytest.mark.parametrize("asked", [{}, {"object_angle": 15}, {"angle": 35}, {"top_k": 2}])
def test_a_session_answers_as_query_does(
    session: Session, model: AnyChange, village: Any, asked: dict[str, Any]
) -> None:
    alone = model.query(village.before, village.after, [ROOF], **asked)
    assert len(alone) > 0
    assert summary(session.query([ROOF], **asked)) == summary(alone)


def test_a_second_click_is_answered_as_the_first(session: Session) -> None:
    roofs, pools = (summary(session.query([click])) for click in (ROOF, POOL))
    assert roofs != pools
    assert summary(session.query([ROOF])) == roofs
    assert summary(session.query([POOL])) == pools


def test_a_query_leaves_detect_as_it_was(session: Session) -> None:
    first = summary(session.detect())
    session.query([ROOF], top_k=1)
    session.detect(threshold="otsu")
    assert summary(session.detect()) == first


def test_no_answer_changes_the_settings_of_the_model(model: AnyChange, village: Any) -> None:
    before = model.settings, model.angle, repr(model), model.segmenter.defaults
    with model.session(village.before, village.after) as session:
        session.detect(angle=60)
        session.query([ROOF], object_angle=5, top_k=1)
    assert (model.settings, model.angle, repr(model), model.segmenter.defaults) == before


def test_one_answer_does_not_write_into_another(session: Session) -> None:
    first = session.detect(angle=40)
    asked = dict(first.settings["asked"])
    session.detect(top_k=2)
    session.query([POOL])
    assert asked == {"angle": 40}
    assert first.settings["asked"] == asked


def test_a_query_keeps_what_is_like_the_click(session: Session, village: Any) -> None:
    roofs, pools = session.query([ROOF]).to_mask(), session.query([POOL]).to_mask()
    roof_pixels = village.truth("roof", "other roof")
    pool_pixels = village.truth("pool")
    assert roofs[roof_pixels].mean() > 0.9
    assert not roofs[pool_pixels].any()
    assert pools[pool_pixels].mean() > 0.9
    assert not pools[roof_pixels].any()


def test_a_query_turns_the_pixels_of_what_is_unlike_the_click_to_no_angle(
    session: Session, village: Any
) -> None:
    everything, roofs = session.detect().pixel_angle, session.query([ROOF]).pixel_angle
    inside_roof, inside_pool = np.s_[20:42, 24:56], np.s_[40:60, 120:140]
    np.testing.assert_array_equal(roofs[inside_roof], everything[inside_roof])
    assert everything[inside_pool].min() > 0
    assert not roofs[inside_pool].any()


@pytest.mark.parametrize("angle", [10, 25, 40])
def test_by_the_rules_of_sam_a_query_is_the_union_of_the_changes_it_keeps(
    village: Any, angle: float
) -> None:
    model = AnyChange(RegionsByRulesOfSam(), points_per_side=32)
    changes = model.query(village.before, village.after, [ROOF], angle=angle)
    assert len(changes) > 0
    np.testing.assert_array_equal(changes.to_mask(), changes.masks().any(0))
    assert not changes.to_mask()[np.s_[40:60, 120:140]].any()


def test_a_larger_angle_changes_a_subset_of_the_pixels_of_a_query(session: Session) -> None:
    answers = [session.query([ROOF], angle=angle).to_mask() for angle in range(0, 65, 5)]
    assert answers[0].any()
    for more, fewer in pairwise(answers):
        assert not (fewer & ~more).any()


def test_clicks_on_both_kinds_find_neither_as_their_mean_is_like_neither(
    session: Session, village: Any
) -> None:
    both = session.query([ROOF, POOL], object_angle=10).to_mask()
    assert not both[village.truth("roof", "pool")].any()


def test_the_changes_of_a_query_are_among_those_within_a_wider_object_angle(
    session: Session,
) -> None:
    masks = [session.query([ROOF], object_angle=angle, top_k=10_000) for angle in (5, 20, 60, 180)]
    assert len(masks[0]) < len(masks[1]) < len(masks[2])
    everything = session.detect(top_k=10_000)
    assert summary(masks[3])[:5] == summary(everything)[:5]


@pytest.mark.parametrize("object_angle", [-1, 180.5, float("nan")])
def test_an_object_angle_outside_the_scale_is_refused_by_its_value(
    session: Session, object_angle: float
) -> None:
    with pytest.raises(UsageError, match=f"object_angle is {object_angle}"):
        session.query([ROOF], object_angle=object_angle)


def test_a_session_goes_on_after_an_error(session: Session) -> None:
    first = summary(session.query([ROOF]))
    with pytest.raises(QueryError, match=r"\(500, 31, after\)"):
        session.query([(500, 31, "after")])
    with pytest.raises(UsageError, match="contradict"):
        session.detect(angle=20, top_k=3)
    assert summary(session.query([ROOF])) == first


def test_answers_say_what_was_asked(session: Session) -> None:
    assert session.detect().settings["asked"] == {}
    assert session.detect(top_k=3).settings["asked"] == {"top_k": 3}
    query = session.query([ROOF, POOL], angle=30).settings["asked"]
    assert query["points"] == [[40.0, 31.0, "after"], [130.0, 50.0, "after"]]
    assert (query["angle"], query["object_angle"]) == (30, 22.0)


def test_less_than_70_percent_of_a_change_lies_under_those_that_stand_out_more(
    session: Session,
) -> None:
    by_angle, by_top = session.detect(angle=15), session.detect(top_k=40)
    for changes, rank in ((by_angle, by_angle.iou), (by_top, by_top.angle)):
        masks, taken = changes.masks(), np.zeros((128, 176), bool)
        assert len(changes) > 10
        for n in np.argsort(-rank, kind="stable"):
            assert (masks[n] & taken).sum() < 0.7 * masks[n].sum()
            taken |= masks[n]


@pytest.mark.parametrize("angle", [15, 23, 30])
def test_half_of_the_pixels_of_a_change_are_changed(session: Session, angle: float) -> None:
    changes = session.detect(angle=angle)
    assert len(changes) > 0
    for mask in changes.masks():
        assert changes.to_mask()[mask].mean() >= 0.5
