import numpy as np

from terradelta.synth.events import EventKind
from terradelta.synth.plan import Plan
from terradelta.synth.shapes import NO_EVENT

MIDDLE = [(i, j) for i in (-1, 0) for j in (-1, 0)]


def test_an_event_is_found_by_its_number(plan: Plan) -> None:
    for i, j in [*MIDDLE, (-3, 5), (4, -2)]:
        for event in plan.block(i, j).events:
            assert plan.event(event.number) is event


def test_numbers_are_unique(plan: Plan) -> None:
    blocks = [plan.block(i, j) for i in range(-3, 3) for j in range(-3, 3)]
    numbers = [event.number for block in blocks for event in block.events]
    assert len(numbers) == len(set(numbers)) > 6
    assert min(numbers) > NO_EVENT


def test_the_middle_blocks_see_every_kind(plan: Plan) -> None:
    kinds = {event.kind for i, j in MIDDLE for event in plan.block(i, j).events}
    assert kinds == set(EventKind)


def test_a_block_is_the_same_whenever_it_is_drawn(plan: Plan) -> None:
    again = Plan(5, tuple(EventKind))
    again.block(5, 5)
    one, other = plan.block(0, -1), again.block(0, -1)
    np.testing.assert_array_equal(one.trees.x, other.trees.x)
    assert one.buildings == other.buildings
    assert [event.number for event in one.events] == [event.number for event in other.events]


def test_only_wanted_kinds_are_planned() -> None:
    quiet = Plan(3, (EventKind.FELLED,))
    kinds = {event.kind for i, j in MIDDLE for event in quiet.block(i, j).events}
    assert kinds == {EventKind.FELLED}


def test_objects_refer_to_planned_events(plan: Plan) -> None:
    for i, j in MIDDLE:
        block = plan.block(i, j)
        known = {event.number for event in block.events} | {NO_EVENT}
        assert {building.event for building in block.buildings} <= known
        assert {slab.event for slab in block.slabs} <= known
        assert set(block.trees.event.tolist()) <= known
