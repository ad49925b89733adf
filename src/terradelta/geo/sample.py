"""A sample of full-resolution windows spread over a pair, from which its scene-wide facts are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.errors import InputError

SIDE_PX = 512
MOST_WINDOWS = 16
LATTICES = (4, 8, 16)
"""Windows per side of the scene that are tried, in this order, until enough hold data."""
ENOUGH_VALID = 0.25

Read = Callable[[int, int, int, int], tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]]
Counts = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A window of both dates: (x0, y0) its corner on the grid, values [3, h, w], ``valid`` [h, w]."""

    x0: int
    y0: int
    before: NDArray[Any]
    after: NDArray[Any]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Patches of a pair that hold data. ``dtypes`` are those of the two files, whatever the patches
    hold once resampled; ``whole`` is True if the patches together are all of the pair that does;
    ``valid_share`` is the share of valid pixels in all windows that were looked at."""

    patches: tuple[Patch, ...]
    dtypes: tuple[np.dtype[Any], np.dtype[Any]]
    whole: bool
    valid_share: float

    def __iter__(self) -> Iterator[Patch]:
        return iter(self.patches)

    def pixels(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The valid pixels of before and after, float32 [3, n]."""
        return (
            np.concatenate([p.before[:, p.valid].astype(np.float32) for p in self.patches], 1),
            np.concatenate([p.after[:, p.valid].astype(np.float32) for p in self.patches], 1),
        )

    def aligned(self, right: int, down: int) -> Sample:
        """The sample with *after* taken from (right, down) pixels further on; edges are cut off."""
        patches = [_aligned(patch, right, down) for patch in self.patches]
        return replace(self, patches=tuple(p for p in patches if p.valid.any()))


def _aligned(patch: Patch, right: int, down: int) -> Patch:
    height, width = patch.valid.shape
    rows, columns = (
        (slice(max(0, -by), max(0, min(side, side - by))), slice(max(0, by), max(0, side + by)))
        for by, side in ((down, height), (right, width))
    )
    here, there = (rows[0], columns[0]), (rows[1], columns[1])
    return Patch(
        patch.x0 + max(0, -right),
        patch.y0 + max(0, -down),
        patch.before[:, *here],
        patch.after[:, *there],
        patch.valid[here] & patch.valid[there],
    )


def take_sample(
    read: Read,
    shape: tuple[int, int],
    dtypes: tuple[np.dtype[Any], np.dtype[Any]],
    names: str = "the two dates",
) -> Sample:
    """All of a small pair, else up to 16 windows of 512 px on a regular lattice where data are.

    ``read(x0, y0, x1, y1)`` gives before, after and valid of a window, as `ScenePair.read` does;
    ``shape`` is (height, width), ``dtypes`` are those of the files, ``names`` says what they are
    in an error. The same pair always gives the same sample.

    Raises:
        InputError: no window that was looked at has a pixel that is valid in both dates.
    """
    height, width = shape
    looked_at: list[Counts] = []
    if height * width <= MOST_WINDOWS * SIDE_PX**2:
        corners = [(x, y) for y in range(0, height, SIDE_PX) for x in range(0, width, SIDE_PX)]
        patches = [p for p in _read_all(read, shape, corners, looked_at) if p.valid.any()]
        whole = True
    else:
        patches, whole = _from_lattices(read, shape, looked_at), False
    if not patches:
        raise InputError(
            f"nothing to compare in {names}: no pixel is valid in both, in any of {len(looked_at)} "
            f"windows looked at (nodata, transparent or not a number)"
        )
    share = sum(valid for valid, _ in looked_at) / sum(size for _, size in looked_at)
    return Sample(tuple(patches), dtypes, whole, share)


def _from_lattices(read: Read, shape: tuple[int, int], looked_at: list[Counts]) -> list[Patch]:
    """Patches of the coarsest lattice that gives enough; what little there is of the finest else."""
    kept: list[Patch] = []
    for count in LATTICES:
        found = []
        for patch in _read_all(read, shape, _lattice(shape, count), looked_at):
            share = patch.valid.mean()
            if share >= ENOUGH_VALID:
                found.append(patch)
            elif share > 0:
                kept.append(patch)
            if len(found) == MOST_WINDOWS:
                return found
        kept = sorted([*found, *kept], key=lambda patch: -patch.valid.mean())[:MOST_WINDOWS]
        if len(found) >= MOST_WINDOWS // 2:
            break
    return kept


def _lattice(shape: tuple[int, int], count: int) -> list[tuple[int, int]]:
    """Corners of count x count windows, the first and last of a row at the scene's edge.

    In an order that spreads over the scene, so that the first few are as good as any.
    """
    rows, columns = (
        np.unique(np.linspace(0, max(0, side - SIDE_PX), count).round().astype(int))
        for side in shape
    )
    corners = [(int(x), int(y)) for y in rows for x in columns]
    order = np.random.default_rng(count).permutation(len(corners))
    return [corners[i] for i in order]


def _read_all(
    read: Read, shape: tuple[int, int], corners: list[tuple[int, int]], looked_at: list[Counts]
) -> Iterator[Patch]:
    """The windows one by one; valid and all pixels of each are noted in ``looked_at``."""
    height, width = shape
    for x, y in corners:
        patch = Patch(x, y, *read(x, y, min(x + SIDE_PX, width), min(y + SIDE_PX, height)))
        looked_at.append((int(patch.valid.sum()), patch.valid.size))
        yield patch
