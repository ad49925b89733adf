"""Find what changed between two images of the same place."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from terradelta.run import detect_scene
    from terradelta.sam.registry import MODELS, load_segmenter
    from terradelta.synth import make_scene
    from terradelta.zeroshot.anychange import AnyChange
    from terradelta.zeroshot.changes import Changes

__all__ = [
    "MODELS",
    "AnyChange",
    "Changes",
    "__version__",
    "detect_scene",
    "load_segmenter",
    "make_scene",
]

_HOMES = {
    "MODELS": "terradelta.sam.registry",
    "load_segmenter": "terradelta.sam.registry",
    "detect_scene": "terradelta.run",
    "make_scene": "terradelta.synth",
    "AnyChange": "terradelta.zeroshot.anychange",
    "Changes": "terradelta.zeroshot.changes",
}


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that `terradelta --help` need not load torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
