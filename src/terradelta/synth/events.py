"""Events: what can change between the two dates."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from terradelta.synth.grid import Float64, Window


class EventKind(StrEnum):
    """What can happen between the two dates."""

    BUILT = "built"
    DEMOLISHED = "demolished"
    PLOUGHED = "ploughed"
    DUG = "dug"
    FLOODED = "flooded"
    FELLED = "felled"


@dataclass(frozen=True)
class Event:
    """A change as it shows in a scene.

    ``bounds`` is the bounding box (x0, y0, x1, y1) of its mask in pixels, x1 and y1 exclusive;
    ``area_px`` is the number of pixels of the mask.
    """

    kind: EventKind
    bounds: Window
    area_px: int


@dataclass(frozen=True)
class EventPlan:
    """A planned change.

    ``number`` is positive and unique in the whole plan. ``corners`` [n, 2] is the convex plan
    polygon that bounds the changed ground; a building carries its event itself and has none.
    """

    kind: EventKind
    number: int
    corners: Float64 | None = None
