"""Rectangles x0, y0, x1, y1 as masks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from terradelta.sam.masks import Masks

SHAPE = (40, 60)
SQUARE, FAR = (0, 0, 10, 10), (30, 20, 40, 30)
Box = tuple[int, int, int, int]


def dense(box: Box, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    return mask


def rles(boxes: Sequence[Box], shape: tuple[int, int] = SHAPE) -> list[dict[str, Any]]:
    masks = [dense(box, shape) for box in boxes]
    return Masks.from_dense(np.array(masks)).rles() if masks else []


def random_boxes(random: np.random.Generator, count: int) -> list[Box]:
    corners = random.integers([0, 0], [45, 25], (count, 2))
    sizes = random.integers(5, 15, (count, 2))
    return [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, sizes, strict=True)]
