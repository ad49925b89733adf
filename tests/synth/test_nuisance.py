from typing import Any

import pytest

from terradelta.errors import UsageError
from terradelta.synth import Acquisition, Nuisance


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sun_elevation", 10.0),
        ("sun_azimuth", 1000.0),
        ("season", 1.5),
        ("haze", -0.1),
        ("noise", float("nan")),
        ("blur", 4.0),
        ("gain", (1.0, 0.0, 1.0)),
        ("gamma", (1.0, 1.0)),
        ("shift", (9.0, 0.0)),
    ],
)
def test_values_out_of_range_are_named(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        Acquisition(**{name: value})


def test_none_is_equal_at_both_dates_without_noise() -> None:
    nuisance = Nuisance.none()
    assert nuisance.before == nuisance.after
    assert nuisance.before.noise == nuisance.before.haze == nuisance.before.season == 0


def test_the_default_differs_in_everything() -> None:
    before, after = Nuisance().before, Nuisance().after
    for name in vars(before):
        assert getattr(before, name) != getattr(after, name), name
