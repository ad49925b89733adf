import numpy as np
import pytest

from terradelta.synth.frame import Frame
from terradelta.synth.planting import (
    plant_hedges,
    plant_orchard,
    plant_row,
    plant_wood,
    scatter_trees,
)
from terradelta.synth.polygons import inner_distance, rectangle
from terradelta.synth.shapes import NO_EVENT, Trees, Use
from terradelta.synth.sketch import Sketch
from terradelta.synth.texture import Noise

FIELD = rectangle(-50, -40, 60, 45)


class _Level(Frame):
    """A frame without bends, in which plan and world are the same."""

    def __init__(self) -> None:
        super().__init__(Noise(0), 0.0, (0.0, 0.0))

    def to_world(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return u, v


@pytest.fixture
def sketch() -> Sketch:
    rng = np.random.default_rng(1)
    return Sketch(rng, 1, lambda u, v: np.full(np.shape(u), 500, np.float32))


def trees_of(sketch: Sketch) -> Trees:
    return sketch.finish(_Level()).trees


def depth(trees: Trees) -> np.ndarray:
    return inner_distance(FIELD, trees.x, trees.y)


def test_a_wood_fills_its_parcel(sketch: Sketch) -> None:
    plant_wood(sketch, FIELD)
    trees = trees_of(sketch)
    assert depth(trees).min() > -0.6
    assert np.pi * (trees.radius**2).sum() > 0.8 * 110 * 85
    assert (trees.event == NO_EVENT).all()
    assert trees.height.max() < 20


def test_only_trees_inside_the_felled_polygon_carry_its_event(sketch: Sketch) -> None:
    part = rectangle(-50, -40, 0, 45)
    plant_wood(sketch, FIELD, (part, 12))
    trees = trees_of(sketch)
    np.testing.assert_array_equal(trees.event == 12, inner_distance(part, trees.x, trees.y) > 0)


def test_an_orchard_is_a_lattice_with_a_margin(sketch: Sketch) -> None:
    plant_orchard(sketch, sketch.parcel(FIELD, Use.ORCHARD))
    trees = trees_of(sketch)
    assert len(trees) > 60
    assert depth(trees).min() > 3.4
    steps = np.diff(np.unique(np.round(trees.x, 3)))
    assert np.ptp(steps) < 0.01


def test_pasture_trees_are_few_and_inside(sketch: Sketch) -> None:
    scatter_trees(sketch, FIELD)
    trees = trees_of(sketch)
    assert len(trees) < 30
    assert (depth(trees) > 4).all()


def test_hedges_keep_to_the_edges(sketch: Sketch) -> None:
    for _ in range(6):
        plant_hedges(sketch, FIELD)
    trees = trees_of(sketch)
    assert len(trees) > 20
    assert depth(trees).min() > -0.4
    assert depth(trees).max() < 2


def test_a_row_keeps_its_distance_from_the_line(sketch: Sketch) -> None:
    plant_row(sketch, (0.0, 0.0), (0.0, 100.0), 5.0)
    trees = trees_of(sketch)
    np.testing.assert_allclose(trees.x, -5)
    assert trees.y.min() >= 8
    assert trees.y.max() < 92
