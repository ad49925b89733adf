"""What differs between two photographs of an unchanged place."""

from __future__ import annotations

from dataclasses import dataclass, field

from terradelta.errors import UsageError

Bands = tuple[float, float, float]


@dataclass(frozen=True)
class Acquisition:
    """Conditions of one photograph; a value out of range raises :class:`UsageError`.

    ``sun_azimuth``: degrees clockwise from north. ``sun_elevation``: degrees, in [20, 80].
    ``season``: from -1, lush, to 1, dry; it tints vegetation, some fields more than others.
    ``haze``: share of the light that is veil, in [0, 0.6]. ``gain`` and ``gamma``: per band, in
    [0.2, 5]. ``noise``: standard deviation of the sensor's noise in grey levels, in [0, 50].
    ``shift``: pixels (x, y) from where the picture's grid should sample to where it does, each in
    [-4, 4]. ``blur``: standard deviation in pixels of a Gaussian on top of the optics' own, in
    [0, 3].
    """

    sun_azimuth: float = 142.0
    sun_elevation: float = 51.0
    season: float = 0.0
    haze: float = 0.0
    gain: Bands = (1.0, 1.0, 1.0)
    gamma: Bands = (1.0, 1.0, 1.0)
    noise: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    blur: float = 0.0

    def __post_init__(self) -> None:
        _check("sun_azimuth", self.sun_azimuth, -360, 360)
        _check("sun_elevation", self.sun_elevation, 20, 80)
        _check("season", self.season, -1, 1)
        _check("haze", self.haze, 0, 0.6)
        _check("noise", self.noise, 0, 50)
        _check("blur", self.blur, 0, 3)
        for name, length, low, high in (
            ("gain", 3, 0.2, 5),
            ("gamma", 3, 0.2, 5),
            ("shift", 2, -4, 4),
        ):
            values = getattr(self, name)
            if len(values) != length:
                raise UsageError(f"{name} needs {length} values, got {values!r}")
            for value in values:
                _check(name, value, low, high)


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} must lie in [{low}, {high}], got {value!r}")


def _earlier() -> Acquisition:
    return Acquisition(season=-0.2, haze=0.03, gain=(1.07, 1.07, 1.07), noise=1.4, blur=0.1)


def _later() -> Acquisition:
    return Acquisition(
        sun_azimuth=171.0,
        sun_elevation=44.0,
        season=0.25,
        haze=0.08,
        gain=(1.12, 1.09, 1.05),
        gamma=(0.97, 0.98, 1.0),
        noise=1.9,
        shift=(0.35, -0.25),
        blur=0.3,
    )


@dataclass(frozen=True)
class Nuisance:
    """The conditions at both dates; by default those of two aerial surveys of different years."""

    before: Acquisition = field(default_factory=_earlier)
    after: Acquisition = field(default_factory=_later)

    @classmethod
    def none(cls) -> Nuisance:
        """Equal conditions at both dates, and no noise."""
        return cls(Acquisition(), Acquisition())
