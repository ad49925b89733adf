"""The embeddings of a pair as colours: their first three principal components (AnyChange, figure 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from terradelta.bench.cases import RGB
from terradelta.sam.segmenter import Axis, Embedding

PERCENTILES = (1, 99)


def principal_pictures(embeddings: Sequence[Embedding]) -> list[RGB]:
    """A picture uint8 [H, W, 3] of each embedding, in the components of all of them together.

    Only cells that hold image count. Each component is stretched between its 1st and 99th percentile;
    an embedding of fewer than three channels leaves the last colours black.
    """
    from sklearn.decomposition import PCA

    cells = [_image_cells(embedding) for embedding in embeddings]
    channels = cells[0].shape[2]
    everything = np.concatenate([each.reshape(-1, channels) for each in cells])
    with np.errstate(invalid="ignore"):  # embeddings without variance have no explained share of it
        analysis = PCA(min(3, channels), svd_solver="covariance_eigh").fit(everything)
    components = analysis.transform(everything)
    low, high = np.percentile(components, PERCENTILES, axis=0)
    span = np.where(high > low, high - low, 1)
    return [
        _picture((analysis.transform(each.reshape(-1, channels)) - low) / span, each, embedding)
        for each, embedding in zip(cells, embeddings, strict=True)
    ]


def _image_cells(embedding: Embedding) -> NDArray[np.float32]:
    """[h, w, C], without padding."""
    height, width = embedding.rows.upper.max() + 1, embedding.columns.upper.max() + 1
    cells = embedding.z[:, :height, :width].permute(1, 2, 0)
    return np.asarray(cells.float().cpu().numpy())


def _picture(shares: NDArray[np.float32], cells: NDArray[np.float32], embedding: Embedding) -> RGB:
    colours = np.zeros((*cells.shape[:2], 3), np.float32)
    colours[..., : shares.shape[1]] = np.clip(shares, 0, 1).reshape(*cells.shape[:2], -1)
    rows = _interpolated(colours, embedding.rows)
    pixels = _interpolated(rows.transpose(1, 0, 2), embedding.columns).transpose(1, 0, 2)
    return np.ascontiguousarray(pixels * 255 + 0.5, np.uint8)


def _interpolated(values: NDArray[np.float32], axis: Axis) -> NDArray[np.float32]:
    """Cells [n, ...] along the first axis as pixels."""
    fraction = axis.fraction[:, None, None]
    return values[axis.lower] * (1 - fraction) + values[axis.upper] * fraction
