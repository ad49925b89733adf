import numpy as np
import pytest

from terradelta.synth.houses import STYLES, house_on_lot, house_wings, roof_colour
from terradelta.synth.shapes import NO_EVENT, Cover
from terradelta.synth.sketch import Site, Sketch

WIDTH, DEPTH = 20.0, 36.0


def lot(seed: int, event: int = NO_EVENT) -> Site:
    rng = np.random.default_rng(seed)
    sketch = Sketch(rng, 1, lambda u, v: np.full(np.shape(u), 500, np.float32))
    site = Site.facing((0.0, 0.0), (0.0, 1.0), event)
    house_on_lot(sketch, site, WIDTH, DEPTH, seed % STYLES)
    return site


@pytest.mark.parametrize("seed", range(20))
def test_the_house_stands_on_its_lot(seed: int) -> None:
    house = lot(seed).buildings[0]
    wing = house.wings[0]
    assert abs(house.x) + wing.half_length < WIDTH / 2
    assert house.y - wing.half_width > 4
    assert house.y + wing.half_width < DEPTH - 10


@pytest.mark.parametrize("seed", range(20))
def test_a_house_with_an_event_takes_its_drive_but_no_garden_along(seed: int) -> None:
    site = lot(seed, event=9)
    assert len(site.buildings) == 1
    assert {thing.event for thing in [*site.buildings, *site.slabs]} == {9}
    assert not {slab.cover for slab in site.slabs} & {Cover.POOL, Cover.SOIL}


def test_gardens_differ() -> None:
    covers = {slab.cover for seed in range(60) for slab in lot(seed).slabs}
    assert {Cover.POOL, Cover.SOIL, Cover.CAR, Cover.PAVING} <= covers
    assert {len(lot(seed).trees) for seed in range(20)} > {2, 5}
    assert {len(lot(seed).buildings) for seed in range(20)} == {1, 2}


def test_wings_have_positive_sizes_and_every_style_has_roofs() -> None:
    sketch = Sketch(np.random.default_rng(0), 1, lambda u, v: np.ones(np.shape(u), np.float32))
    for _ in range(50):
        for wing in house_wings(sketch, 6, 4.5):
            assert min(wing.half_length, wing.half_width, wing.eave, wing.slope) > 0
    for style in range(STYLES):
        assert all(0 < band < 1 for band in roof_colour(sketch, style))
