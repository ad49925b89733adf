from collections.abc import Callable

import numpy as np
import pytest

from terradelta.synth.events import EventKind
from terradelta.synth.frame import Frame
from terradelta.synth.grid import Float32, Float64
from terradelta.synth.polygons import rectangle
from terradelta.synth.shapes import Cover, Roof, Use, Wing
from terradelta.synth.sketch import BlockPlan, Site, Sketch
from terradelta.synth.texture import Noise

FRAME = Frame(Noise(2), 0.7, (0.0, 0.0))


def far_from_water(u: Float64, v: Float64) -> Float32:
    return np.full(np.shape(u), 500, np.float32)


def sketch(river: Callable[[Float64, Float64], Float32] = far_from_water) -> Sketch:
    return Sketch(np.random.default_rng(0), 65, river)


def test_a_site_faces_its_inward_direction() -> None:
    drawing = sketch()
    site = Site.facing((30.0, -20.0), (0.0, 1.0))
    site.tree((0.0, 10.0), 2.0, 5.0, 0.1, conifer=True)
    drawing.sites.append(site)
    trees = drawing.finish(FRAME).trees
    x, y = FRAME.to_world(np.array([30.0]), np.array([-10.0]))
    assert np.hypot(trees.x - x, trees.y - y)[0] < 1.5
    assert (trees.radius[0], trees.height[0], trees.conifer[0]) == (2.0, 5.0, 1.0)


def test_objects_keep_their_place_within_a_site() -> None:
    drawing = sketch()
    site = Site.facing((0.0, 0.0), (1.0, 0.0), event=65)
    site.slab((3.0, 4.0), (2.0, 1.0), Cover.GRAVEL, angle=0.5)
    site.building((0.0, 0.0), [Wing(0, 0, 5, 4, Roof.HIP, 3, 0.5)], (0.5, 0.4, 0.3), 0.0)
    drawing.sites.append(site)
    plan = drawing.finish(FRAME)
    (slab,), (building,) = plan.slabs, plan.buildings
    assert np.hypot(slab.x - building.x, slab.y - building.y) == pytest.approx(5)
    assert slab.angle - building.angle == pytest.approx(0.5)
    assert slab.event == building.event == 65


def test_no_tree_touches_a_building() -> None:
    drawing = sketch()
    site = Site.facing((0.0, 0.0), (0.0, 1.0))
    site.building((0.0, 0.0), [Wing(0, 0, 8, 5, Roof.FLAT, 3, 0)], (0.5, 0.5, 0.5), 0.0)
    drawing.sites.append(site)
    u, v = (grid.ravel() for grid in np.meshgrid(np.arange(-30.0, 31, 3), np.arange(-30.0, 31, 3)))
    drawing.stand(u, v, np.full(len(u), 2.0), np.full(len(u), 6.0))
    plan = drawing.finish(FRAME)
    (building,) = plan.buildings
    away = np.hypot(plan.trees.x - building.x, plan.trees.y - building.y)
    assert 0 < len(plan.trees) < len(u)
    assert away.min() > building.reach + 1.4


def test_no_tree_stands_in_the_river() -> None:
    drawing = sketch(lambda u, v: np.asarray(u, np.float32))
    u = np.array([-5.0, 0.5, 3.0])
    drawing.stand(u, np.zeros(3), np.ones(3), np.ones(3))
    assert len(drawing.finish(FRAME).trees) == 1


def test_events_are_numbered_in_order() -> None:
    drawing = sketch()
    assert drawing.event(EventKind.BUILT) == 65
    assert drawing.event(EventKind.DUG, rectangle(0, 0, 1, 1)) == 66
    kinds = [event.kind for event in drawing.finish(FRAME).events]
    assert kinds == [EventKind.BUILT, EventKind.DUG]


def test_rows_follow_the_longest_side() -> None:
    parcel = sketch().parcel(rectangle(0, 0, 10, 40), Use.CEREAL)
    assert np.abs(parcel.along) == pytest.approx([0, 1])


def test_an_empty_sketch_is_an_empty_plan() -> None:
    plan = sketch().finish(FRAME)
    assert plan == BlockPlan([], [], [], [], plan.trees, [])
    assert len(plan.trees) == 0
