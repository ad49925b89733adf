import numpy as np
import pytest

from terradelta.synth.layout import PITCH, Layout, Theme
from terradelta.synth.shapes import RoadKind
from terradelta.synth.texture import Noise

SEEDS = range(6)
MIDDLE = [(i, j) for i in (-1, 0) for j in (-1, 0)]


def layout_of(seed: int) -> Layout:
    return Layout(seed, Noise(seed))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_middle_group_holds_all_themes(seed: int) -> None:
    layout = layout_of(seed)
    blocks = [layout.block(i, j) for i, j in MIDDLE]
    assert {block.theme for block in blocks} == set(Theme)
    assert all(block.complete for block in blocks)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_middle_of_the_scene_is_near_the_node(seed: int) -> None:
    layout = layout_of(seed)
    _, (u, v) = layout.orientation()
    node = layout.block(0, 0).node
    assert np.hypot(u - node[0], v - node[1]) < 0.4 * PITCH


def test_lines_and_cuts_never_cross() -> None:
    layout = layout_of(1)
    lines = [layout.line(i) for i in range(-20, 20)]
    cuts = [layout.cut(3, j) for j in range(-20, 20)]
    assert np.diff(lines).min() > PITCH / 2
    assert np.diff(cuts).min() > PITCH / 2


def test_blocks_lie_inside_their_roads() -> None:
    layout = layout_of(2)
    for i, j in layout.blocks_in(-900, -900, 900, 900):
        u0, v0, u1, v1 = layout.block(i, j).bounds
        assert layout.line(i) < u0 < u1 < layout.line(i + 1)
        assert layout.cut(i, j) < v0 < v1 < layout.cut(i, j + 1)


def test_near_and_far_corners_are_opposite() -> None:
    layout = layout_of(2)
    for i, j in MIDDLE:
        block = layout.block(i, j)
        (near_u, near_v), (far_u, far_v) = block.near, block.far
        u0, v0, u1, v1 = block.bounds
        assert {near_u, far_u} == {u0, u1}
        assert {near_v, far_v} == {v0, v1}
        assert np.hypot(near_u - block.node[0], near_v - block.node[1]) < 9


def test_blocks_in_finds_every_block_at_a_point() -> None:
    layout, rng = layout_of(4), np.random.default_rng(0)
    for u, v in rng.uniform(-2000, 2000, (200, 2)):
        found = [
            (i, j)
            for i, j in layout.blocks_in(u, v, u, v)
            if layout.line(i) <= u <= layout.line(i + 1)
            and layout.cut(i, j) <= v <= layout.cut(i, j + 1)
        ]
        assert len(found) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_rivers_keep_to_their_strip(seed: int) -> None:
    layout = layout_of(seed)
    v = np.arange(-3000, 3000, 5, dtype=np.float32)
    for group in (-3, 0, 3):
        middle, half_width = layout.river_middle(v, group)
        strip = layout.river_strip(group)
        assert half_width.min() > 1
        assert (middle - half_width).min() > layout.line(strip) + 4
        assert (middle + half_width).max() < layout.line(strip + 1) - 4


def test_river_distance_is_negative_in_the_water_only() -> None:
    layout = layout_of(0)
    v = np.full(3, 40, np.float32)
    middle, half_width = layout.river_middle(v[:1], 0)
    u = middle[0] + np.array([0, half_width[0] + 5, -half_width[0] - 2])
    np.testing.assert_allclose(layout.river_distance(u, v), [-half_width[0], 5, 2], atol=1e-3)


def test_river_distance_is_the_same_in_any_company() -> None:
    layout = layout_of(0)
    u = np.linspace(-4000, 4000, 101)
    v = np.linspace(-500, 500, 101)
    alone = [layout.river_distance(u[k : k + 1], v[k : k + 1])[0] for k in range(101)]
    together = layout.river_distance(u, v)
    near = together < 200
    np.testing.assert_array_equal(together[near], np.array(alone)[near])


def test_villages_stand_by_roads() -> None:
    layout = layout_of(5)
    for i in range(-6, 6):
        for j in range(-6, 6):
            if layout.theme(i, j) is Theme.VILLAGE:
                assert layout.cut_kind(i, j) is RoadKind.LANE
                assert layout.cut_kind(i, j + 1) is RoadKind.LANE


def test_roads_run_along_the_low_sides() -> None:
    layout = layout_of(5)
    for road in layout.roads(0, 0):
        assert road.start == (layout.line(0), layout.cut(0, 0))
        assert road.kind is not RoadKind.NONE
        assert road.width > 2
