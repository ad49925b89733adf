import numpy as np
import pytest

from terradelta.synth.canvas import Canvas
from terradelta.synth.events import EventKind, EventPlan
from terradelta.synth.patches import paint_patches
from terradelta.synth.polygons import area, inner_distance, rectangle
from terradelta.synth.shapes import NO_EVENT
from terradelta.synth.survey import Survey


def patch(survey: Survey, kind: EventKind) -> np.ndarray:
    """A plan polygon around a dry place of the window, or around the river for a flood."""
    distance = -np.abs(survey.bank) if kind is EventKind.FLOODED else survey.bank
    row, column = np.unravel_index(np.argmax(distance[60:-60, 60:-60]), (120, 200))
    u, v = survey.u[row + 60, column + 60], survey.v[row + 60, column + 60]
    half = (75, 30) if kind is EventKind.FLOODED else (20, 20)
    return rectangle(u - half[0], v - half[1], u + half[0], v + half[1])


@pytest.mark.parametrize(
    "kind", [EventKind.PLOUGHED, EventKind.DUG, EventKind.FELLED, EventKind.FLOODED]
)
def test_a_patch_changes_its_polygon_only(
    survey: Survey, bare: Canvas, kind: EventKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    corners = patch(survey, kind)
    monkeypatch.setattr(survey, "events", [EventPlan(kind, 6, corners)])
    untouched = bare.copy()
    paint_patches(survey, bare)
    changed = bare.event == 6
    inside = inner_distance(corners, survey.u, survey.v)
    share = changed.sum() * survey.step**2 / area(corners)
    assert (0.05 if kind is EventKind.FLOODED else 0.3) < share < 1.1
    assert (inside[changed] > -2.5).all()
    assert (survey.bank[changed] > 0).all()
    far = inside < -4
    np.testing.assert_array_equal(bare.albedo[far], untouched.albedo[far])
    assert np.abs(bare.albedo - untouched.albedo)[changed].mean() > 0.01


def test_a_pit_is_lower_than_the_land(
    survey: Survey, bare: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    corners = patch(survey, EventKind.DUG)
    monkeypatch.setattr(survey, "events", [EventPlan(EventKind.DUG, 6, corners)])
    paint_patches(survey, bare)
    assert bare.height.min() < -2
    assert bare.height[bare.event == NO_EVENT].min() > -1


def test_buildings_have_no_patch(
    survey: Survey, bare: Canvas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "events", [EventPlan(EventKind.BUILT, 6)])
    paint_patches(survey, bare)
    assert (bare.event == NO_EVENT).all()
