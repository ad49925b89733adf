"""Procedural made scenes: image pairs of one place with exactly known changes."""

from terradelta.synth.dataset import write_made_dataset
from terradelta.synth.events import Event, EventKind
from terradelta.synth.images import write_made_images
from terradelta.synth.nuisance import Acquisition, Nuisance
from terradelta.synth.scenes import Scene, SceneSource, make_scene

__all__ = [
    "Acquisition",
    "Event",
    "EventKind",
    "Nuisance",
    "Scene",
    "SceneSource",
    "make_scene",
    "write_made_dataset",
    "write_made_images",
]
