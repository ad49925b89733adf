from collections.abc import Callable

import numpy as np
import pytest

from terradelta.synth.shapes import Cover, Roof
from terradelta.synth.sketch import Site, Sketch
from terradelta.synth.yards import FARM_SIZE, back_barn, farmstead, flats, hall

Draw = Callable[[Sketch, Site], None]


def drawn(draw: Draw, seed: int) -> Site:
    rng = np.random.default_rng(seed)
    sketch = Sketch(rng, 1, lambda u, v: np.full(np.shape(u), 500, np.float32))
    site = Site.facing((0.0, 0.0), (0.0, 1.0), event=7)
    draw(sketch, site)
    return site


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("draw", "width", "depth"),
    [
        (farmstead, *FARM_SIZE),
        (back_barn, *FARM_SIZE),
        (lambda sketch, site: hall(sketch, site, 50, 36), 50, 36),
        (lambda sketch, site: flats(sketch, site, 45), 45, 36),
    ],
)
def test_buildings_stay_on_their_yard(draw: Draw, width: float, depth: float, seed: int) -> None:
    site = drawn(draw, seed)
    assert site.buildings
    for building in site.buildings:
        assert building.event == 7
        cos, sin = abs(np.cos(building.angle)), abs(np.sin(building.angle))
        for wing in building.wings:
            half = (wing.half_length, wing.half_width)
            half = half[::-1] if wing.turned else half
            x, y = (
                building.x + wing.x * cos - wing.y * sin,
                building.y + wing.x * sin + wing.y * cos,
            )
            assert abs(x) + half[0] * cos + half[1] * sin < width / 2 + 1.5
            assert y - half[0] * sin - half[1] * cos > -1.5
            assert y + half[0] * sin + half[1] * cos < depth + 1.5


def test_a_hall_is_flat_and_has_parked_cars() -> None:
    site = drawn(lambda sketch, site: hall(sketch, site, 50, 36), 0)
    assert site.buildings[0].wings[0].roof is Roof.FLAT
    assert sum(slab.cover is Cover.CAR for slab in site.slabs) > 3
