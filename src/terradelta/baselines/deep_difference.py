"""Comparing deep features of several layers: change vectors of the features that tell of change.

Saha, Bovolo and Bruzzone, "Unsupervised deep change vector analysis for multiple-change detection in
VHR images", IEEE Transactions on Geoscience and Remote Sensing 57(6), 2019. Most features of a network
say nothing of the change in a scene. In each layer and each quarter of the image the features whose
difference between the dates varies most are kept; those of all quarters and layers, each standardised
within its date, form one vector a pixel, whose length is the intensity of change.

Selecting and standardising take place on the grid of the layer, and only the differences of the kept
features are enlarged (bilinearly) to the image: the same up to interpolation, at a fraction of the
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terradelta.baselines.patches import continued

Layers = Sequence[torch.Tensor]


def change_vector_length(
    features: Callable[[torch.Tensor], Layers],
    images: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    valid: NDArray[np.bool_],
    keep: Sequence[float],
    stride: int,
    device: torch.device,
) -> NDArray[np.float32]:
    """Length of the vector of kept feature differences, float32 [H, W].

    Args:
        features: an image float32 [1, 3, h, w] in [0, 255] to the layers, [1, C, h', w'] each.
        images: both dates, uint8 [H, W, 3].
        valid: bool [H, W]; the rest has no say in what is kept and how it is standardised.
        keep: for each layer the share of its features that is kept in each quarter.
        stride: what the sides of an image must be a multiple of; images are continued to it.
        device: where ``features`` runs.
    """
    height, width = valid.shape
    canvas = [continued(torch.from_numpy(image).to(device), stride) for image in images]
    mask = functional.pad(
        torch.from_numpy(valid).to(device),
        (0, canvas[0].shape[3] - width, 0, canvas[0].shape[2] - height),
    )
    squared = torch.zeros(mask.shape, device=device)
    with torch.inference_mode():
        for before, after, share in zip(
            features(canvas[0]), features(canvas[1]), keep, strict=True
        ):
            for difference in kept_differences(before[0], after[0], mask, share):
                squared += enlarged(difference, squared.shape) ** 2
    return np.asarray(squared[:height, :width].sqrt().cpu().numpy())


def enlarged(plane: torch.Tensor, shape: torch.Size | tuple[int, int]) -> torch.Tensor:
    """A plane [h, w] bilinearly at another size."""
    large: torch.Tensor = functional.interpolate(plane[None, None], shape, mode="bilinear")
    return large[0, 0]


def kept_differences(
    before: torch.Tensor, after: torch.Tensor, valid: torch.Tensor, share: float
) -> torch.Tensor:
    """Differences of the features that are kept, each standardised within its date, [K, h, w].

    Args:
        before: a layer of the earlier date, float32 [C, h, w].
        after: the same of the later date.
        valid: bool [H, W] at the size of the image; a cell counts if one of its pixels does.
        share: of the C features, kept in each quarter of the image; at least one is.
    """
    cells = functional.adaptive_max_pool2d(valid[None].float(), before.shape[1:])[0] > 0
    kept = selected(after - before, cells, max(1, int(share * len(before))))
    return standardised(after[kept], cells) - standardised(before[kept], cells)


def selected(difference: torch.Tensor, cells: torch.Tensor, count: int) -> torch.Tensor:
    """Which of the C features [C, h, w] vary most in a quarter of the image, in ascending order.

    The ``count`` best of each quarter that holds valid ``cells``, bool [h, w].
    """
    middle = [(side + 1) // 2 for side in cells.shape]
    halves = [(slice(None, at), slice(at, None)) for at in middle]
    chosen = [
        difference[:, rows, columns][:, cells[rows, columns]].var(1, correction=0).topk(count)[1]
        for rows, columns in product(*halves)
        if cells[rows, columns].any()
    ]
    kept: torch.Tensor = torch.cat(chosen).unique()
    return kept


def standardised(features: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Features [K, h, w] of mean 0 and variance 1 over the valid cells; a constant one is 0."""
    inside = features[:, cells]
    deviation, mean = torch.std_mean(inside, 1, correction=0)
    scale = torch.where(deviation > 0, deviation, torch.inf)
    return (features - mean[:, None, None]) / scale[:, None, None]
