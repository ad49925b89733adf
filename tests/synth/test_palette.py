import numpy as np
import pytest

from terradelta.synth import palette
from terradelta.synth.shapes import Cover, RoadKind, Use


def test_every_surface_has_a_look() -> None:
    assert set(palette.GROUND) == set(Use)
    assert set(palette.COVER) == set(Cover) - {Cover.CAR}
    assert set(palette.ROAD) == set(RoadKind) - {RoadKind.NONE}


def test_tables_follow_the_uses() -> None:
    base = palette.ground_table("base")
    assert base.shape == (len(Use), 3)
    np.testing.assert_allclose(base[Use.WOOD], palette.GROUND[Use.WOOD].base, rtol=1e-6)
    assert palette.ground_table("tramlines")[Use.CEREAL] > 0


@pytest.mark.parametrize("use", list(Use))
def test_land_is_dark_and_muted_as_from_the_air(use: Use) -> None:
    for colour in (palette.GROUND[use].base, palette.GROUND[use].patch):
        assert 0.1 < min(colour) <= max(colour) < 0.65
        assert max(colour) - min(colour) < 0.2
