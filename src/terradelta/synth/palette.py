"""Colours and grain of surfaces, as display-referred reflectance in [0, 1] under full sun."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terradelta.synth.grid import Float32
from terradelta.synth.shapes import Colour, Cover, RoadKind, Use


@dataclass(frozen=True)
class Ground:
    """Look of a land use.

    ``base`` and ``patch`` are the colours between which soil and moisture vary; ``vary`` is how
    far whole parcels differ in brightness; ``mottle``, ``grain`` and ``streak`` are relative
    amplitudes of blotches of some metres, of the finest texture and of the rows; ``green`` is how
    far the season tints it; ``tramlines`` is the distance between wheel tracks in metres, 0 for
    none.
    """

    base: Colour
    patch: Colour
    vary: float
    mottle: float
    grain: float
    streak: float
    green: float
    tramlines: float = 0.0


GROUND: dict[Use, Ground] = {
    Use.VERGE: Ground((0.365, 0.38, 0.285), (0.46, 0.44, 0.35), 0.05, 0.08, 0.11, 0, 0.8),
    Use.MEADOW: Ground((0.315, 0.36, 0.25), (0.405, 0.40, 0.295), 0.13, 0.035, 0.06, 0.035, 1),
    Use.PASTURE: Ground((0.34, 0.36, 0.265), (0.425, 0.40, 0.315), 0.09, 0.06, 0.09, 0.01, 1),
    Use.CEREAL: Ground((0.275, 0.345, 0.225), (0.345, 0.375, 0.255), 0.14, 0.02, 0.05, 0.05, 1, 21),
    Use.RIPE: Ground((0.57, 0.515, 0.40), (0.495, 0.46, 0.35), 0.08, 0.02, 0.05, 0.05, 0.35, 21),
    Use.ROOTS: Ground((0.24, 0.315, 0.205), (0.31, 0.345, 0.25), 0.11, 0.025, 0.06, 0.09, 1, 18),
    Use.STUBBLE: Ground((0.53, 0.49, 0.415), (0.455, 0.43, 0.36), 0.08, 0.025, 0.06, 0.09, 0.2),
    Use.BARE: Ground((0.445, 0.395, 0.345), (0.36, 0.32, 0.28), 0.10, 0.02, 0.05, 0.06, 0),
    Use.PLOUGHED: Ground((0.36, 0.31, 0.265), (0.295, 0.26, 0.225), 0.07, 0.03, 0.07, 0.12, 0),
    Use.LAWN: Ground((0.30, 0.35, 0.24), (0.42, 0.405, 0.31), 0.14, 0.045, 0.07, 0.02, 1),
    Use.PLOT: Ground((0.385, 0.39, 0.295), (0.49, 0.455, 0.375), 0.08, 0.09, 0.10, 0, 0.7),
    Use.YARD: Ground((0.51, 0.485, 0.43), (0.42, 0.41, 0.36), 0.07, 0.07, 0.08, 0, 0.1),
    Use.ORCHARD: Ground((0.315, 0.36, 0.25), (0.395, 0.395, 0.29), 0.08, 0.05, 0.08, 0.03, 1),
    Use.WOOD: Ground((0.19, 0.205, 0.15), (0.25, 0.235, 0.18), 0.05, 0.15, 0.14, 0, 0.6),
}

COVER: dict[Cover, Colour] = {
    Cover.PAVING: (0.60, 0.585, 0.55),
    Cover.ASPHALT: (0.42, 0.42, 0.42),
    Cover.GRAVEL: (0.58, 0.545, 0.48),
    Cover.SOIL: (0.36, 0.31, 0.25),
    Cover.POOL: (0.36, 0.58, 0.64),
    Cover.HAY: (0.62, 0.57, 0.44),
}

CAR_PAINTS: tuple[Colour, ...] = (
    (0.80, 0.80, 0.80),
    (0.62, 0.63, 0.64),
    (0.30, 0.31, 0.33),
    (0.20, 0.20, 0.22),
    (0.47, 0.17, 0.16),
    (0.22, 0.29, 0.42),
    (0.74, 0.73, 0.69),
)
CAR_GLASS: Colour = (0.17, 0.18, 0.20)
SOLAR_PANEL: Colour = (0.15, 0.165, 0.21)

ROAD: dict[RoadKind, Colour] = {
    RoadKind.TRACK: (0.575, 0.53, 0.45),
    RoadKind.STREET: (0.465, 0.46, 0.445),
    RoadKind.LANE: (0.485, 0.475, 0.45),
    RoadKind.MAIN: (0.46, 0.455, 0.44),
}
SHOULDER: Colour = (0.53, 0.50, 0.42)
PAVEMENT: Colour = (0.56, 0.55, 0.525)
ROAD_PAINT: Colour = (0.78, 0.78, 0.78)
TRODDEN: Colour = (0.54, 0.49, 0.40)

WATER: Colour = (0.195, 0.23, 0.205)
SHALLOW: Colour = (0.315, 0.32, 0.25)
FLOOD: Colour = (0.40, 0.375, 0.325)
SILT: Colour = (0.47, 0.44, 0.365)
BANK: Colour = (0.46, 0.425, 0.345)

BROADLEAF: Colour = (0.235, 0.295, 0.195)
CONIFER: Colour = (0.18, 0.235, 0.185)
HEDGE: Colour = (0.25, 0.30, 0.18)
GRASS: Colour = (0.345, 0.375, 0.24)
SLASH: Colour = (0.43, 0.385, 0.32)
STUMP: Colour = (0.64, 0.58, 0.47)

RUBBLE: Colour = (0.555, 0.515, 0.465)
SUBSOIL: Colour = (0.565, 0.50, 0.415)
TOPSOIL: Colour = (0.375, 0.325, 0.275)


def ground_table(column: str) -> Float32:
    """A column of ``GROUND`` as an array whose rows are the members of :class:`Use`."""
    return np.array([getattr(GROUND[use], column) for use in Use], np.float32)
