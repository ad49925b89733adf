"""Clicks drawn from the truth, in place of those of a person.

The paper's clicks were a person's (AnyChange, section 4.2 and table 5). Here a click falls on a random
object of the truth, every 8-connected component being as likely, at its inner point farthest from its
boundary (the border of the image is one).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from terradelta.zeroshot.query import Click

EIGHT_CONNECTED = np.ones((3, 3))
CLICKED_DATE = {"xview2": "before"}
"""Where the objects of a dataset are, if not in *after*: damaged buildings are whole before."""


def draw_clicks(
    truth: NDArray[np.bool_], count: int, date: str, seed: Sequence[int]
) -> list[Click]:
    """Clicks on ``count`` random objects of a mask [H, W], or on all if there are fewer."""
    labels, objects = ndimage.label(truth, EIGHT_CONNECTED)
    drawn = np.random.default_rng(seed).permutation(objects)[:count]
    windows = ndimage.find_objects(labels)
    return [_innermost(labels[windows[n]] == n + 1, windows[n], date) for n in drawn]


def seed_of(seed: int, name: str, draw: int) -> list[int]:
    """A seed of its own for every pair and draw, whatever other pairs there are."""
    return [seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]), draw]


def _innermost(inside: NDArray[np.bool_], window: tuple[slice, slice], date: str) -> Click:
    """The centre of the pixel of an object that lies deepest in it."""
    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return Click(float(window[1].start + x) + 0.5, float(window[0].start + y) + 0.5, date)
