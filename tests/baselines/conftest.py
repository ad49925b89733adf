"""A segmenter whose masks and embeddings are given, and images that it need not look at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from terradelta.sam.masks import Masks
from terradelta.sam.segmenter import (
    RGB,
    Axis,
    Defaults,
    Embedding,
    Encoded,
    Proposals,
    Segmenter,
)

SHAPE = (10, 20)


def embedding_of(z: NDArray[Any], shape: tuple[int, int]) -> Embedding:
    """``z`` [C, h, w] spread over an image."""
    rows, columns = z.shape[1:]
    return Embedding(
        torch.as_tensor(z, dtype=torch.float32),
        Axis.half_pixel(shape[0], rows / shape[0], rows),
        Axis.half_pixel(shape[1], columns / shape[1], columns),
    )


class GivenSegmenter(Segmenter):
    """Answers any pair of images of `SHAPE` with the same masks, bool [N, H, W] of each date."""

    name = "given"
    canvas_px = None
    defaults = Defaults(
        angle=25.0, object_angle=60.0, points_per_side=1, pred_iou=0.0, stability=0.0, nms=1.0
    )

    def __init__(
        self,
        before: Sequence[NDArray[np.bool_]],
        after: Sequence[NDArray[np.bool_]],
        z: tuple[NDArray[Any], NDArray[Any]] | None = None,
    ) -> None:
        self.masks = [np.array(date, bool).reshape(-1, *SHAPE) for date in (before, after)]
        self.z = z or (np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))

    def encode(self, image: RGB, context: Any = None) -> Encoded:
        raise NotImplementedError

    def encode_both(
        self, before: RGB, after: RGB, contexts: tuple[Any, Any] = (None, None)
    ) -> tuple[Encoded, Encoded]:
        first, second = (Encoded(SHAPE, embedding_of(self.z[n], SHAPE), n) for n in range(2))
        return first, second

    def decode(self, encoded: Encoded, points: NDArray[Any], **lowest: Any) -> Proposals:
        masks = Masks.from_dense(self.masks[encoded.state])
        sure = np.ones(len(masks), np.float32)
        return Proposals(masks, sure, sure, np.zeros(len(masks), np.int64))


def box(y0: int, y1: int, x0: int, x1: int) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


@pytest.fixture(scope="session")
def given() -> type[GivenSegmenter]:
    return GivenSegmenter


@pytest.fixture(scope="session")
def rectangle() -> Any:
    """bool [10, 20] of rows y0 to y1 and columns x0 to x1."""
    return box


@pytest.fixture(scope="session")
def spread() -> Any:
    return embedding_of


@pytest.fixture(scope="session")
def any_pair() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """uint8 [10, 20, 3]."""
    first, second = np.random.default_rng(0).integers(0, 256, (2, *SHAPE, 3)).astype(np.uint8)
    return first, second


@pytest.fixture(scope="session")
def holed_pair() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The same kind of pair, without values in the right half of *before*."""
    first, second = np.random.default_rng(0).normal(size=(2, *SHAPE, 3)).astype(np.float32)
    first[:, 10:] = np.nan
    return first, second
