"""A dataset of made images of single dates, with the buildings that each shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from terradelta.errors import UsageError
from terradelta.geo.files import writable_folder, write_png
from terradelta.synth.canvas import Canvas
from terradelta.synth.dataset import draw_acquisition
from terradelta.synth.grid import Axes, Window
from terradelta.synth.nuisance import Nuisance
from terradelta.synth.plan import Plan
from terradelta.synth.roofs import paint_building
from terradelta.synth.scenes import SceneSource
from terradelta.synth.survey import Survey
from terradelta.types import Progress, silent


def write_made_images(
    folder: str | Path,
    images: int,
    *,
    size: int = 256,
    seed: int = 0,
    resolution: float = 0.5,
    progress: Progress = silent,
) -> Path:
    """Write made images: PNG files of the same names in ``images`` and ``labels`` (255, building).

    Each is a place of its own in a light of its own; the rest is as in `write_made_dataset`.
    """
    if images < 1:
        raise UsageError(f"{images} images: make at least 1")
    folder = writable_folder(folder)
    for number in range(images):
        progress("making images", number, images)
        name = f"{seed}-{number:05d}.png"
        if (folder / "labels" / name).is_file():
            continue
        random = np.random.default_rng((seed, number))
        place = int(random.integers(2**31))
        shot = draw_acquisition(random)
        source = SceneSource(
            size, seed=place, resolution=resolution, events=(), nuisance=Nuisance(shot, shot)
        )
        write_png(folder / "images" / name, source.render("before"))
        # The label comes last: where there is one, the image is whole.
        label = buildings_of(place, size, resolution)
        write_png(folder / "labels" / name, label.astype(np.uint8) * np.uint8(255))
    return folder


def buildings_of(seed: int, size: int, resolution: float) -> NDArray[np.bool_]:
    """The buildings of an unchanged scene of `make_scene`, bool [H, W]. No crown hangs over them."""
    window = Window(0, 0, size, size)
    survey = Survey(Plan(seed, ()), Axes.of(window, (size, size), resolution))
    bare = Canvas.level(np.zeros((size, size, 3), np.float32), np.zeros((size, size), np.float32))
    for building in survey.buildings:
        paint_building(survey, bare, building)
    return np.asarray(bare.height > 0)
