"""A dataset of made pairs on disk: each its own place, its own changes, weather, light and sensor.

The scenes are those of `make_scene`. What differs between the dates beside the changes is drawn for
each pair anew, in the ranges of two aerial surveys: sun, season, haze, exposure and colour, noise,
sharpness and up to a pixel of misregistration.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from terradelta.errors import UsageError
from terradelta.geo.files import writable_folder, write_png
from terradelta.synth.events import EventKind
from terradelta.synth.nuisance import Acquisition, Nuisance
from terradelta.synth.scenes import make_scene
from terradelta.types import Progress, silent

EVENT_CHANCE = 0.4
"""Of each kind to be allowed in a pair: a few pairs show no change, some many kinds of it."""


def write_made_dataset(
    folder: str | Path,
    pairs: int,
    *,
    size: int = 256,
    seed: int = 0,
    resolution: float = 0.5,
    progress: Progress = silent,
) -> Path:
    """Write made pairs: PNG files of the same names in ``A``, ``B`` and ``label`` (255, change).

    A pair is decided by the other arguments and its number. One that is already there stays: a call that
    was interrupted goes on, and a larger dataset begins with the smaller one. Returns the folder.

    Args:
        size: side in px, from 16 on.
        resolution: metres per px, in [0.1, 5].

    Raises:
        UsageError: a value out of range.
        OutputError: the folder cannot be written.
    """
    if pairs < 1:
        raise UsageError(f"{pairs} pairs: make at least 1")
    folder = writable_folder(folder)
    for number in range(pairs):
        progress("making pairs", number, pairs)
        name = f"{seed}-{number:05d}.png"
        if (folder / "label" / name).is_file():
            continue
        random = np.random.default_rng((seed, number))
        scene = make_scene(
            size,
            seed=int(random.integers(2**31)),
            resolution=resolution,
            events=[kind for kind in EventKind if random.random() < EVENT_CHANCE],
            nuisance=Nuisance(draw_acquisition(random), draw_acquisition(random)),
        )
        write_png(folder / "A" / name, scene.before)
        write_png(folder / "B" / name, scene.after)
        # The label comes last: where there is one, the pair is whole.
        write_png(folder / "label" / name, scene.truth.astype(np.uint8) * np.uint8(255))
    return folder


def draw_acquisition(random: np.random.Generator) -> Acquisition:
    """The conditions of one photograph of an ordinary survey."""
    gain, tint = random.uniform(0.9, 1.2), random.uniform(-0.04, 0.04)
    gamma = random.uniform(0.94, 1.06)
    shift = random.uniform(-0.5, 0.5, 2)
    return Acquisition(
        sun_azimuth=random.uniform(120, 240),
        sun_elevation=random.uniform(35, 60),
        season=random.uniform(-0.4, 0.4),
        haze=random.uniform(0, 0.12),
        gain=(gain + tint, gain, gain - tint),
        gamma=(gamma, gamma, gamma),
        noise=random.uniform(0.5, 3),
        shift=(float(shift[0]), float(shift[1])),
        blur=random.uniform(0, 0.5),
    )
