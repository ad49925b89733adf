"""Run-length encoded binary masks: what every segmenter returns and all else works on.

A thousand masks of a 1024 x 1024 image take a gigabyte as booleans and a few megabytes as runs.
Areas, boxes, unions and mask averages need only the ends of the runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

PIXELS_PER_CHUNK = 1 << 25


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """N binary masks of one image of ``shape`` (H, W).

    ``start`` and ``stop`` (int64 [R], ``stop`` exclusive) are flat pixel indices in column-major
    order, ``x * H + y``, as COCO counts them; a run never crosses from one column into the next.
    The runs of mask ``n`` are ``offsets[n]:offsets[n + 1]`` (int64 [N + 1]), in ascending order.
    """

    shape: tuple[int, int]
    offsets: IntArray
    start: IntArray
    stop: IntArray

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Masks:
        none = np.zeros(0, np.int64)
        return cls(shape, np.zeros(1, np.int64), none, none)

    @classmethod
    def from_dense(cls, dense: torch.Tensor | BoolArray) -> Masks:
        """Encode bool [N, H, W] masks, on whatever device they live."""
        masks = torch.as_tensor(dense)
        count, height, width = masks.shape
        edges = torch.zeros((count, width, height + 1), dtype=torch.bool, device=masks.device)
        columns = masks.transpose(1, 2)
        edges[..., :height] = columns
        edges[..., 1:] ^= columns
        ends = edges.nonzero().cpu().numpy()
        owner, x, y = ends[::2].T
        start = x * height + y
        stop = x * height + ends[1::2, 2]
        return cls((height, width), _offsets(owner, count), start, stop)

    @classmethod
    def from_labels(cls, labels: NDArray[np.int32], count: int) -> Masks:
        """Every label 0 to ``count - 1`` of an int image [H, W] as one mask; others are no mask."""
        height, width = labels.shape
        flat = np.ascontiguousarray(labels.T).ravel()
        first = np.empty(flat.size, bool)
        first[1:] = flat[1:] != flat[:-1]
        first[::height] = True
        start = np.flatnonzero(first)
        stop = np.append(start[1:], flat.size)
        owner = flat[start]
        order = np.argsort(owner, kind="stable")
        order = order[slice(*np.searchsorted(owner[order], (0, count)))]
        return cls((height, width), _offsets(owner[order], count), start[order], stop[order])

    @classmethod
    def concatenate(cls, parts: Sequence[Masks]) -> Masks:
        """Masks of the same image, one after another."""
        shape = parts[0].shape
        if any(part.shape != shape for part in parts):
            raise ValueError(f"masks of different images: {sorted({p.shape for p in parts})}")
        sizes = np.concatenate([part.runs_per_mask for part in parts])
        return cls(
            shape,
            np.concatenate([[0], np.cumsum(sizes)]),
            np.concatenate([part.start for part in parts]),
            np.concatenate([part.stop for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: IntArray | BoolArray | slice) -> Masks:
        """The masks at ``index``: int64 [K] positions, bool [N] or a slice."""
        picked = np.arange(len(self))[index]
        sizes = self.runs_per_mask[picked]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        runs = _expand(self.offsets[picked], sizes)
        return Masks(self.shape, offsets, self.start[runs], self.stop[runs])

    @property
    def runs_per_mask(self) -> IntArray:
        return np.diff(self.offsets)

    @property
    def owner(self) -> IntArray:
        """int64 [R]: the mask each run belongs to."""
        return np.repeat(np.arange(len(self)), self.runs_per_mask)

    @property
    def areas(self) -> IntArray:
        """int64 [N], pixels."""
        total = np.concatenate([[0], np.cumsum(self.stop - self.start)])
        return np.diff(total[self.offsets])

    @property
    def boxes(self) -> FloatArray:
        """float32 [N, 4]: x0, y0, x1, y1 in pixel edges (x1, y1 exclusive); zeros where empty."""
        height = self.shape[0]
        boxes = np.zeros((len(self), 4), np.float32)
        filled = self.runs_per_mask > 0
        if filled.any():
            first = self.offsets[:-1][filled]
            x = self.start // height
            boxes[filled, 0] = np.minimum.reduceat(x, first)
            boxes[filled, 1] = np.minimum.reduceat(self.start - x * height, first)
            boxes[filled, 2] = np.maximum.reduceat(x, first) + 1
            boxes[filled, 3] = np.maximum.reduceat(self.stop - x * height, first)
        return boxes

    def dense(self) -> BoolArray:
        """bool [N, H, W]."""
        height, width = self.shape
        flat = np.zeros((len(self), width * height), bool)
        for n, pixels in self._pixels():
            flat[n, pixels] = True
        return flat.reshape(-1, width, height).transpose(0, 2, 1)

    def crop(self, n: int) -> tuple[BoolArray, int, int]:
        """Mask ``n`` as bool [h, w] inside its box, and the box's x0, y0."""
        mask = self[n : n + 1]
        x0, y0, x1, y1 = mask.boxes[0].astype(int)
        column = mask.start // self.shape[0]
        shift = column * self.shape[0] + y0 - (column - x0) * (y1 - y0)
        window = Masks(
            (int(y1 - y0), int(x1 - x0)), mask.offsets, mask.start - shift, mask.stop - shift
        )
        return window.union(), int(x0), int(y0)

    def pixels(self, n: int) -> IntArray:
        """Flat column-major indices of the pixels of mask ``n``."""
        runs = slice(self.offsets[n], self.offsets[n + 1])
        return _expand(self.start[runs], self.stop[runs] - self.start[runs])

    def sums(self, image: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [N]: the sum of a float image [H, W] over each mask."""
        prefix = np.concatenate([[0.0], np.cumsum(image.T.ravel(), dtype=np.float64)])
        per_run = prefix[self.stop] - prefix[self.start]
        return np.bincount(self.owner, per_run, len(self)).astype(np.float64)

    def union(self) -> BoolArray:
        """bool [H, W]: the pixels of any mask."""
        return self._as_image(self._covered())

    def paint_mean(self, values: NDArray[Any], weights: NDArray[Any]) -> FloatArray:
        """float32 [H, W]: the weighted mean of the values of the masks at each pixel, 0 where none."""
        weight = self._sum(weights)
        total = self._sum(np.asarray(values, np.float64) * weights)
        outside = ~self._covered()
        weight[outside], total[outside] = 1, 0
        return self._as_image((total / weight).astype(np.float32))

    def paint_max(self, values: NDArray[Any]) -> FloatArray:
        """float32 [H, W]: the largest value of the masks at each pixel, 0 where none."""
        height, width = self.shape
        flat = np.zeros(width * height, np.float32)
        order = np.argsort(values, kind="stable")
        for n, pixels in self[order]._pixels():
            flat[pixels] = values[order[n]]
        return np.ascontiguousarray(flat.reshape(width, height).T)

    def restrict(self, valid: BoolArray) -> Masks:
        """The masks without the pixels where ``valid`` (bool [H, W]) is False."""
        if valid.all():
            return self
        height = self.shape[0]
        kept = Masks.from_labels(np.where(valid, 0, -1).astype(np.int32), 1)
        first = np.searchsorted(kept.stop, self.start, "right")
        last = np.searchsorted(kept.start, self.stop, "left")
        sizes = np.maximum(last - first, 0)
        run = np.repeat(np.arange(len(self.start)), sizes)
        piece = _expand(first, sizes)
        start = np.maximum(self.start[run], kept.start[piece])
        stop = np.minimum(self.stop[run], kept.stop[piece])
        return Masks((height, self.shape[1]), _offsets(self.owner[run], len(self)), start, stop)

    def moved(self, shape: tuple[int, int], x0: int, y0: int) -> Masks:
        """The masks of a window whose top left pixel is (x0, y0) in an image of ``shape``."""
        column = self.start // self.shape[0]
        shift = (column + x0) * shape[0] + y0 - column * self.shape[0]
        return Masks(shape, self.offsets, self.start + shift, self.stop + shift)

    def cropped(self, x0: int, y0: int, x1: int, y1: int) -> Masks:
        """The masks inside a box of the image, as masks of an image of the size of the box."""
        height = self.shape[0]
        column = self.start // height
        top, bottom = column * height + y0, column * height + y1
        start, stop = np.maximum(self.start, top), np.minimum(self.stop, bottom)
        inside = (column >= x0) & (column < x1) & (start < stop)
        shift = (top - (column - x0) * (y1 - y0))[inside]
        owner = _offsets(self.owner[inside], len(self))
        return Masks((y1 - y0, x1 - x0), owner, start[inside] - shift, stop[inside] - shift)

    def rles(self) -> list[dict[str, Any]]:
        """COCO run-length dicts: ``size`` [H, W] and compressed ``counts``."""
        from pycocotools import mask as coco

        size = list(self.shape)
        raw = [{"size": size, "counts": counts} for counts in self._coco_counts()]
        encoded = [coco.frPyObjects(rle, *size) for rle in raw]
        return [{"size": size, "counts": rle["counts"].decode("ascii")} for rle in encoded]

    def _coco_counts(self) -> Iterator[list[int]]:
        total = self.shape[0] * self.shape[1]
        for n in range(len(self)):
            runs = slice(self.offsets[n], self.offsets[n + 1])
            start, stop = self.start[runs], self.stop[runs]
            ends = np.stack([start, stop], 1).ravel()
            joined = np.flatnonzero(ends[1:-1:2] == ends[2::2]) * 2 + 1
            ends = np.delete(ends, np.concatenate([joined, joined + 1]))
            counts = np.diff(np.concatenate([[0], ends, [total]])).tolist()
            yield counts if counts[-1] else counts[:-1]

    def _sum(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """float64 [W * H], column-major: the sum of the weights of the masks at each pixel."""
        size = self.shape[0] * self.shape[1]
        per_run = np.asarray(weights, np.float64)[self.owner]
        steps = np.bincount(self.start, per_run, size + 1)
        steps -= np.bincount(self.stop, per_run, size + 1)
        return np.cumsum(steps[:-1], dtype=np.float64)

    def _covered(self) -> BoolArray:
        """bool [W * H], column-major: the pixels of any mask."""
        size = self.shape[0] * self.shape[1]
        steps = np.bincount(self.start, minlength=size + 1)
        steps -= np.bincount(self.stop, minlength=size + 1)
        return np.cumsum(steps[:-1], out=steps[:-1]) > 0

    def _as_image(self, flat: NDArray[Any]) -> NDArray[Any]:
        height, width = self.shape
        return flat.reshape(width, height).T

    def _pixels(self) -> Iterator[tuple[IntArray, IntArray]]:
        """Per chunk of masks: the mask and the flat index of every pixel, in mask order."""
        ends = np.cumsum(self.areas)
        first = 0
        while first < len(self):
            budget = PIXELS_PER_CHUNK + (ends[first - 1] if first else 0)
            last = max(first + 1, int(np.searchsorted(ends, budget, "right")))
            part = self[first:last]
            length = part.stop - part.start
            yield np.repeat(part.owner + first, length), _expand(part.start, length)
            first = last


def _offsets(owner: NDArray[Any], count: int) -> IntArray:
    return np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))]).astype(np.int64)


def _expand(first: NDArray[Any], length: NDArray[Any]) -> IntArray:
    """The integers of the spans that begin at ``first`` and are ``length`` long, end to end."""
    before = np.cumsum(length) - length
    return np.repeat(first - before, length) + np.arange(length.sum())
