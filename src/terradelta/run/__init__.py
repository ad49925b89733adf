"""Scenes: rasters larger than memory, on one machine or many, safe to interrupt."""

from terradelta.run.scene import SceneResult, detect_scene, is_placed

__all__ = ["SceneResult", "detect_scene", "is_placed"]
