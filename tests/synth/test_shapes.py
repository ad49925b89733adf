import numpy as np

from terradelta.synth.shapes import Building, Roof, Trees, Wing


def trees(n: int, x: float) -> Trees:
    columns = [np.full(n, x + k) for k in range(6)]
    return Trees(*columns, np.arange(n))


def test_trees_are_joined_and_picked_by_row() -> None:
    both = Trees.concat([trees(2, 0.0), trees(3, 10.0)])
    assert len(both) == 5
    picked = both.take(both.x > 5)
    assert len(picked) == 3
    assert picked.event.tolist() == [0, 1, 2]
    assert picked.tint.tolist() == [15.0] * 3


def test_no_trees_are_an_empty_column_each() -> None:
    none = Trees.concat([])
    assert len(none) == 0
    assert none.event.dtype == np.int64


def test_reach_holds_every_wing_whichever_way_it_is_turned() -> None:
    main = Wing(0, 0, 4, 3, Roof.GABLE, 3, 0.5)
    across = Wing(2, 1, 6, 1, Roof.GABLE, 3, 0.5, turned=True)
    assert main.reach == 5
    assert across.reach == np.hypot(2 + 1, 1 + 6)
    assert Building(0, 0, 0, (main, across), (0.5, 0.5, 0.5), 0).reach == across.reach
