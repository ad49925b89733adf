import numpy as np
import pytest

from terradelta.synth.events import EventKind
from terradelta.synth.fields import (
    fill_fields,
    plan_farmland,
    plan_waterside,
    plan_woodland,
    subdivide,
)
from terradelta.synth.layout import Block, Theme
from terradelta.synth.polygons import area, distance_to, inner_distance, rectangle
from terradelta.synth.shapes import Use
from terradelta.synth.sketch import Sketch

BLOCK = Block(0, 0, Theme.FARMLAND, (5.0, 4.0, 250.0, 260.0), (0.0, 0.0), True)
BOUNDS = rectangle(*BLOCK.bounds)


def sketch(seed: int) -> Sketch:
    rng = np.random.default_rng(seed)
    return Sketch(rng, 1, lambda u, v: np.full(np.shape(u), 500, np.float32))


@pytest.mark.parametrize("seed", range(5))
def test_subdivision_loses_no_land(seed: int) -> None:
    pieces = subdivide(sketch(seed), BOUNDS, 7000)
    assert len(pieces) > 3
    assert sum(area(piece) for piece in pieces) == pytest.approx(area(BOUNDS))
    assert min(area(piece) for piece in pieces) > 500


@pytest.mark.parametrize("seed", range(5))
def test_farmland_covers_its_block(seed: int) -> None:
    drawing = sketch(seed)
    plan_farmland(drawing, BLOCK, ploughed=True, dug=True, built=True)
    assert sum(area(parcel.corners) for parcel in drawing.parcels) == pytest.approx(area(BOUNDS))
    assert sum(parcel.use is Use.YARD for parcel in drawing.parcels) == 1
    kinds = [event.kind for event in drawing.events]
    assert EventKind.PLOUGHED in kinds
    assert kinds.count(EventKind.DUG) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_pit_lies_inside_a_green_field(seed: int) -> None:
    drawing = sketch(seed)
    plan_farmland(drawing, BLOCK, ploughed=False, dug=True, built=False)
    (pit,) = drawing.events
    assert pit.corners is not None
    u, v = pit.corners.mean(axis=0)
    around = [
        parcel
        for parcel in drawing.parcels
        if inner_distance(parcel.corners, np.array([u]), np.array([v]))[0] > 0
    ]
    assert [parcel.use in (Use.CEREAL, Use.MEADOW, Use.RIPE) for parcel in around] == [True]
    reach = np.ptp(pit.corners[:, 0]) / 2
    assert inner_distance(around[0].corners, np.array([u]), np.array([v]))[0] > 0.99 * reach


def test_the_ploughed_field_is_green_and_near_the_node() -> None:
    drawing = sketch(3)
    plan_farmland(drawing, BLOCK, ploughed=True, dug=False, built=False)
    first = drawing.events[0]
    assert first.corners is not None
    fields = [parcel for parcel in drawing.parcels if parcel.corners is first.corners]
    assert [parcel.use in (Use.CEREAL, Use.MEADOW, Use.RIPE) for parcel in fields] == [True]
    assert distance_to(first.corners, BLOCK.node) < 110


def test_no_farm_stands_by_the_river_and_no_pit_in_it() -> None:
    drawing = sketch(0)
    drawing.river_distance = lambda u, v: np.full(np.shape(u), -1, np.float32)
    plan_farmland(drawing, BLOCK, ploughed=False, dug=True, built=True)
    assert not drawing.sites
    assert not drawing.events


@pytest.mark.parametrize("seed", range(5))
def test_the_felled_part_is_of_the_planned_size(seed: int) -> None:
    drawing = sketch(seed)
    plan_woodland(drawing, BLOCK, felled=True)
    (event,) = drawing.events
    assert event.kind is EventKind.FELLED
    assert event.corners is not None
    stand = drawing.parcels[0]
    assert stand.use is Use.WOOD
    assert min(3000, area(stand.corners)) <= area(event.corners) + 1
    assert area(event.corners) < 4601


def test_unwanted_events_do_not_happen() -> None:
    drawing = sketch(0)
    plan_woodland(drawing, BLOCK, felled=False)
    plan_farmland(drawing, BLOCK, ploughed=False, dug=False, built=False)
    plan_waterside(drawing, BLOCK)
    assert not drawing.events


def test_fields_take_their_uses_from_the_mix() -> None:
    drawing = sketch(0)
    fill_fields(drawing, BOUNDS, 3000, ((Use.ROOTS, 0.5), (Use.BARE, 0.5)))
    assert {parcel.use for parcel in drawing.parcels} == {Use.ROOTS, Use.BARE}
