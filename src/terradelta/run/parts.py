"""What is kept of a tile between looking at it and finishing the scene: all that was found in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.errors import InputError
from terradelta.geo.files import replacing
from terradelta.geo.tiles import Key
from terradelta.sam.masks import Masks
from terradelta.sam.segmenter import BoolArray
from terradelta.zeroshot.candidates import Candidates

NO_PROBABILITY = np.zeros((0, 0), np.uint16)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The candidates of a tile's window, largest angle first, and bool [h, w]: its valid pixels.

    Of a detector instead of candidates ``probability``, uint16 [h, w]: that of change in steps of
    1 / 65535. It is empty, [0, 0], if there is none.
    """

    key: Key
    candidates: Candidates
    valid: BoolArray
    probability: NDArray[np.uint16] = field(default_factory=lambda: NO_PROBABILITY)


def no_candidates(shape: tuple[int, int]) -> Candidates:
    none, nothing = np.zeros(0, np.float32), np.zeros((0, 0))
    return Candidates(Masks.empty(shape), none, none, np.zeros(0, np.int8), none, nothing, nothing)


def part_name(key: Key) -> str:
    return f"{key[0]}_{key[1]}.npz"


def save_part(part: Part, folder: Path) -> int:
    """Write a part; returns the size of its file in bytes.

    Raises:
        OutputError: it cannot be written.
    """
    found = part.candidates
    masks = found.masks
    # Gaps and lengths of runs are small numbers; flat indices are large ones that do not repeat.
    gap = masks.start.copy()
    gap[1:] -= masks.stop[:-1]
    filled = masks.offsets[:-1][masks.runs_per_mask > 0]
    gap[filled] = masks.start[filled]
    arrays: dict[str, Any] = {"probability": part.probability} if part.probability.size else {}
    path = folder / part_name(part.key)
    with replacing(path) as temporary:
        np.savez_compressed(
            temporary,
            shape=np.array(masks.shape),
            runs=masks.runs_per_mask.astype(np.uint32),
            gap=gap.astype(np.int32),
            length=(masks.stop - masks.start).astype(np.uint16),
            iou=found.iou,
            stability=found.stability,
            date=found.date,
            angle=found.angle,
            valid=np.packbits(part.valid),
            **arrays,
        )
    return path.stat().st_size


def load_part(key: Key, folder: Path) -> Part:
    """The part that `save_part` wrote.

    Raises:
        InputError: it is missing or damaged.
    """
    path = folder / part_name(key)
    try:
        with np.load(path) as stored:
            height, width = (int(side) for side in stored["shape"])
            masks = _masks((height, width), stored["runs"], stored["gap"], stored["length"])
            count = len(masks)
            nothing = np.zeros((count, 0))
            candidates = Candidates(
                masks,
                stored["iou"],
                stored["stability"],
                stored["date"],
                stored["angle"],
                nothing,
                nothing,
            )
            valid = np.unpackbits(stored["valid"], count=height * width)
            probability = stored.get("probability", NO_PROBABILITY)
            return Part(key, candidates, valid.reshape(height, width).astype(bool), probability)
    except MemoryError:
        raise
    except Exception as error:  # zipfile, zlib and numpy have many for a damaged file
        raise InputError(
            f"{path}, which an earlier run wrote, is missing or damaged: delete it and give the same "
            f"command again, which will look at that tile once more"
        ) from error


def _masks(
    shape: tuple[int, int],
    runs: NDArray[np.uint32],
    gap: NDArray[np.int32],
    length: NDArray[np.uint16],
) -> Masks:
    offsets = np.concatenate([[0], np.cumsum(runs, dtype=np.int64)])
    ends = np.cumsum(gap.astype(np.int64) + length)
    # Every mask counts from the beginning of its image.
    before = np.concatenate([[0], ends])[offsets[:-1]]
    stop = ends - np.repeat(before, runs)
    return Masks(shape, offsets, stop - length, stop)
