"""Procedural made scenes: image pairs of one place with exactly known changes."""

from .events import Event, EventKind
from .nuisance import Acquisition, Nuisance
from .scenes import Scene, SceneSource, make_scene

__all__ = [
    "Acquisition",
    "Event",
    "EventKind",
    "Nuisance",
    "Scene",
    "SceneSource",
    "make_scene",
]
