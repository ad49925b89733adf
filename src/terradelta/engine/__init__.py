"""The change data engine: answers become labels, labels become a detector, which labels again."""

from terradelta.engine.asking import Asking, read_clicks
from terradelta.engine.curate import Curation
from terradelta.engine.label import curate, label
from terradelta.engine.pairs import open_unlabelled
from terradelta.engine.rounds import Round, rounds
from terradelta.engine.scene import label_scene
from terradelta.engine.writing import Labels

__all__ = [
    "Asking",
    "Curation",
    "Labels",
    "Round",
    "curate",
    "label",
    "label_scene",
    "open_unlabelled",
    "read_clicks",
    "rounds",
]
