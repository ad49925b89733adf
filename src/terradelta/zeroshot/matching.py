"""Bitemporal latent matching (AnyChange, section 3.3 and algorithm 1).

For a mask m of either date, with z the demodulated embedding of each date upsampled bilinearly,

    x = mean of z_before over m,  x' = mean of z_after over m,  angle = acos(cos(x, x')).

Equation 1 of the paper divides by d_m; the norm of an average is below sqrt(d_m), so the true cosine
is meant. The mean is linear in z: with U_y, U_x the interpolation matrices it is
sum_ij (U_y^T m U_x)_ij z_ij / |m|, so that no embedding of image size is ever made. Along a run of a
mask the sum over U_y is a difference of two prefix sums.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terradelta.sam.masks import FloatArray, Masks
from terradelta.sam.segmenter import Axis, Embedding

RUNS_PER_CHUNK = 1 << 17
ROWS_PER_BLOCK = 32


def mask_means(masks: Masks, embedding: Embedding) -> NDArray[np.float64]:
    """Mean of the upsampled embedding over each mask, float64 [N, C]; zeros where a mask is empty."""
    means = np.zeros((len(masks), len(embedding.z)))
    if not len(masks.start):
        return means
    embedding = _read_by(masks, embedding)
    table = _prefix_sums(embedding)
    runs = masks.offsets
    first = 0
    while first < len(masks):
        last = int(np.searchsorted(runs, runs[first] + RUNS_PER_CHUNK, "right")) - 1
        last = max(last, first + 1)
        means[first:last] = _sums(masks[first:last], embedding, table)
        first = last
    means /= np.maximum(masks.areas, 1)[:, None]
    return means


def _read_by(masks: Masks, embedding: Embedding) -> Embedding:
    """The embedding without the image rows below all masks, and the columns of cells beside them."""
    column, stop = np.divmod(masks.stop - 1, masks.shape[0])
    rows, columns = embedding.rows, embedding.columns
    last_row = stop.max() + 1
    left, right = columns.lower[column.min()], columns.upper[column.max()] + 1
    return Embedding(
        embedding.z[:, :, left:right],
        Axis(rows.lower[:last_row], rows.upper[:last_row], rows.fraction[:last_row]),
        Axis(columns.lower - left, columns.upper - left, columns.fraction),
    )


def _prefix_sums(embedding: Embedding) -> torch.Tensor:
    """[(H + 1) * w, C]: the embedding upsampled along y and summed over the rows above."""
    by_row, rows = embedding.z.permute(1, 2, 0).contiguous(), embedding.rows
    height, (_, width, channels) = len(rows.lower), by_row.shape
    table = by_row.new_zeros((height + 1, width, channels))
    if by_row.device.type != "cpu":
        torch.cumsum(_upsampled_rows(by_row, rows, 0, height), 0, out=table[1:])
        return table.flatten(0, 1)
    total, sums = np.zeros((width, channels)), table.numpy()
    for first in range(0, height, ROWS_PER_BLOCK):
        block = _upsampled_rows(by_row, rows, first, first + ROWS_PER_BLOCK).numpy()
        for y, row in enumerate(block, first + 1):
            total += row
            sums[y] = total
    return table.flatten(0, 1)


def _upsampled_rows(by_row: torch.Tensor, rows: Axis, first: int, last: int) -> torch.Tensor:
    """The image rows ``first`` to ``last`` of an embedding [h, w, C]."""
    lower, upper, fraction = (
        torch.from_numpy(a[first:last]).to(by_row.device)
        for a in (rows.lower, rows.upper, rows.fraction)
    )
    return torch.lerp(by_row[lower], by_row[upper], fraction[:, None, None])


def _sums(masks: Masks, embedding: Embedding, table: torch.Tensor) -> NDArray[np.float64]:
    height, cells = masks.shape[0], embedding.z.shape[2]
    columns = embedding.columns
    x = masks.start // height
    top, bottom = (masks.start - x * height) * cells, (masks.stop - x * height) * cells
    left, right, fraction = columns.lower[x], columns.upper[x], columns.fraction[x]
    rows = np.stack([bottom + left, bottom + right, top + left, top + right], 1)
    weights = np.stack([1 - fraction, fraction, fraction - 1, -fraction], 1)
    sums = functional.embedding_bag(
        torch.from_numpy(rows.ravel()).to(table.device),
        table,
        torch.from_numpy(masks.offsets[:-1] * 4).to(table.device),
        mode="sum",
        per_sample_weights=torch.from_numpy(weights.ravel()).to(table.device),
    )
    return np.asarray(sums.cpu().numpy(), np.float64)


def angles_between(x: NDArray[np.float64], y: NDArray[np.float64]) -> FloatArray:
    """Angle in degrees, float32 [N], between the rows of [N, C] and [N, C] (or [1, C]).

    0 where either vector is zero: nothing is known there, so nothing changed. Between unit vectors it
    is 2 atan2(|u - v|, |u + v|), exactly 0 for equal ones, where the acos of a rounded cosine is not.
    """
    lengths = [np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (x, y)]
    u, v = (a / np.where(length > 0, length, 1) for a, length in zip((x, y), lengths, strict=True))
    angle = 2 * np.arctan2(np.linalg.norm(u - v, axis=1), np.linalg.norm(u + v, axis=1))
    known = ((lengths[0] > 0) & (lengths[1] > 0))[:, 0]
    return np.where(known, np.degrees(angle), 0).astype(np.float32)
