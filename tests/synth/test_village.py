import numpy as np
import pytest

from terradelta.synth.events import EventKind
from terradelta.synth.layout import Block, Theme
from terradelta.synth.polygons import area, rectangle
from terradelta.synth.shapes import NO_EVENT, RoadKind
from terradelta.synth.sketch import Sketch
from terradelta.synth.village import plan_village

BLOCK = Block(0, 0, Theme.VILLAGE, (5.0, 4.0, 250.0, 260.0), (0.0, 0.0), True)


def drawn(seed: int, *, built: bool = True, demolished: bool = True) -> Sketch:
    rng = np.random.default_rng(seed)
    sketch = Sketch(rng, 1, lambda u, v: np.full(np.shape(u), 500, np.float32))
    plan_village(sketch, BLOCK, built=built, demolished=demolished)
    return sketch


@pytest.mark.parametrize("seed", range(6))
def test_lots_and_fields_do_not_overlap(seed: int) -> None:
    sketch = drawn(seed)
    covered = sum(area(parcel.corners) for parcel in sketch.parcels)
    assert 0.85 < covered / area(rectangle(*BLOCK.bounds)) <= 1


@pytest.mark.parametrize("seed", range(6))
def test_some_houses_are_new_and_some_go(seed: int) -> None:
    sketch = drawn(seed)
    kinds = [event.kind for event in sketch.events]
    assert 3 <= kinds.count(EventKind.BUILT) <= 6
    assert 2 <= kinds.count(EventKind.DEMOLISHED) <= 3
    numbers = {event.number for event in sketch.events}
    carried = {site.event for site in sketch.sites} - {NO_EVENT}
    assert carried == numbers


def test_nothing_changes_unless_asked() -> None:
    sketch = drawn(0, built=False, demolished=False)
    assert not sketch.events
    assert len(sketch.sites) > 10
    kinds = {event.kind for event in drawn(0, demolished=False).events}
    assert kinds == {EventKind.BUILT}


def test_streets_are_inside_the_block() -> None:
    streets = [
        road for seed in range(6) for road in drawn(seed).roads if road.kind is RoadKind.STREET
    ]
    assert streets
    u0, v0, u1, v1 = BLOCK.bounds
    for road in streets:
        for u, v in (road.start, road.end):
            assert u0 - 3.1 < u < u1 + 3.1
            assert v0 - 3.1 < v < v1 + 3.1
