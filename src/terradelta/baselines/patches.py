"""Windows of the images of a folder, and images made as large as a network needs them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terradelta.errors import UsageError
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.types import Progress, silent

PairLikes = Sequence[tuple[ImageLike, ImageLike]]


def draw_patches(
    pairs: PairLikes,
    count: int,
    size: int,
    random: np.random.Generator,
    progress: Progress = silent,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Patches uint8 [N, s, s, 3] at random places of both dates, and their valid pixels [N, s, s].

    As many of every pair, ``count`` in all or a few more; of more pairs than half of that, a random
    choice. Each pair is read once. Images smaller than a patch are continued by their edges.

    Raises:
        UsageError: there are no pairs. InputError: an image cannot be read or does not fit.
    """
    check_pairs(pairs)
    chosen = random.permutation(len(pairs))[: max(1, count // 2)]
    each = -(-count // (2 * len(chosen)))
    patches, valid = [], []
    for done, index in enumerate(chosen):
        progress("reading", done, len(chosen))
        pair = load_pair(*pairs[index])
        for date in (pair.before, pair.after):
            image, inside = at_least(date, pair.valid, size)
            for _ in range(each):
                window = random_window(inside.shape, size, random)
                patches.append(image[window])
                valid.append(inside[window])
    return np.stack(patches), np.stack(valid)


def check_pairs(pairs: PairLikes) -> None:
    """Raises UsageError if there is nothing to learn from."""
    if not len(pairs):
        raise UsageError("there is nothing to learn from: give at least one pair")


def at_least(
    image: NDArray[np.uint8], valid: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """An image [H, W, 3] no side of which is below ``size``; what its edges continue is not valid."""
    missing = [(0, max(0, size - side)) for side in valid.shape]
    if not any(more for _, more in missing):
        return image, valid
    return np.pad(image, [*missing, (0, 0)], mode="edge"), np.pad(valid, missing)


def continued(image: torch.Tensor, stride: int) -> torch.Tensor:
    """An image uint8 [H, W, 3] as float32 [1, 3, h, w], edges repeated up to multiples of the stride."""
    planes = image.permute(2, 0, 1)[None].float()
    missing = [-side % stride for side in planes.shape[2:]]
    return functional.pad(planes, (0, missing[1], 0, missing[0]), mode="replicate")


def random_window(
    shape: tuple[int, ...], size: int, random: np.random.Generator
) -> tuple[slice, slice]:
    """The rows and columns of a square inside an image of that shape, none of whose sides is below it."""
    row, column = (int(random.integers(side - size + 1)) for side in shape)
    return slice(row, row + size), slice(column, column + size)
