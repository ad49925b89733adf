"""A hierarchy of image regions: watershed basins merged by the full lambda schedule.

The piecewise constant Mumford-Shah functional charges a partition for the colour variance inside its
regions plus lambda for every pixel of boundary. Merging two neighbours pays off as soon as

    lambda > |A||B| / (|A| + |B|) * ||mean(A) - mean(B)||^2 / length(A, B),

so one run with a rising lambda gives nested partitions (Robinson, Redding and Crisp, "A full lambda
schedule algorithm for multisource image segmentation", 2002). All pairs of regions that are each
other's best partner merge in one vectorised round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Labels = NDArray[np.int32]
Floats = NDArray[Any]

STABILITY_STEP = 2**0.5
IMPURITY_COST = 4.0
FAINT_STEP = 0.5


@dataclass(frozen=True, slots=True)
class Partition:
    """One level of the hierarchy.

    ``labels`` int32 [H, W], 0 to N - 1. Per region, float32 [N] in [0, 1]: ``contrast``, how far
    the colour step to its neighbours exceeds the colour spread inside it; ``stability``, the area of
    its largest part at a slightly lower lambda over the area of what holds it at a slightly higher.
    """

    labels: Labels
    contrast: NDArray[np.float32]
    stability: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Graph:
    """Regions (pixel count, mean channels, mean square) and their neighbour pairs."""

    count: Floats
    mean: Floats
    square: Floats
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    length: Floats

    def contracted(self, region: NDArray[np.int64], total: int) -> _Graph:
        """The graph after node ``n`` has become part of node ``region[n]``."""
        count = np.bincount(region, self.count, total)
        weighted = [np.bincount(region, self.count * channel, total) for channel in self.mean.T]
        square = np.bincount(region, self.count * self.square, total) / count
        first, second = region[self.first], region[self.second]
        apart = first != second
        low = np.minimum(first[apart], second[apart])
        high = np.maximum(first[apart], second[apart])
        pairs, inverse = np.unique(low * total + high, return_inverse=True)
        length = np.bincount(inverse, self.length[apart], len(pairs))
        mean = np.stack(weighted, 1) / count[:, None]
        return _Graph(count, mean, square, pairs // total, pairs % total, length)

    def distance(self) -> Floats:
        return np.asarray(((self.mean[self.first] - self.mean[self.second]) ** 2).sum(1))

    def merge_cost(self) -> Floats:
        a, b = self.count[self.first], self.count[self.second]
        return np.asarray(a * b / (a + b) * self.distance() / self.length)


def region_hierarchy(channels: NDArray[np.float32], scales: Sequence[float]) -> list[Partition]:
    """Nested partitions of an image, the finest first.

    ``channels`` float32 [C, H, W], colour in units of the image's contrast; ``scales`` rising values
    of lambda in (channel unit)^2 * px, at least a factor of two apart.
    """
    labels, total = _basins(_gradient(channels))
    graph = _adjacency(labels, total, channels)
    size = graph.count
    region = np.arange(total)
    partitions = []
    for scale in scales:
        nested = []
        for factor in (1 / STABILITY_STEP, 1, STABILITY_STEP):
            graph, merged = _merge_until(graph, scale * factor)
            region = merged[region]
            nested.append(region)
            if factor == 1:
                contrast = _contrast(graph)
        stability = _stability(size, *nested)
        partitions.append(Partition(nested[1][labels].astype(np.int32), contrast, stability))
    return partitions


def _gradient(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    magnitude = np.zeros(channels.shape[1:], np.float32)
    for channel in channels:
        magnitude += ndimage.sobel(channel, 0) ** 2 + ndimage.sobel(channel, 1) ** 2
    return magnitude


def _basins(relief: NDArray[np.float32]) -> tuple[Labels, int]:
    """Watershed by steepest descent: the pixels that flow into the same minimum share a label.

    On a plateau a pixel flows to a neighbour of equal height that precedes it, so that a flat area
    is a basin and not one per pixel.
    """
    height, width = relief.shape
    index = np.arange(height * width, dtype=np.int32).reshape(height, width)
    padded = np.pad(relief, 1, constant_values=np.inf)
    lowest, target = relief.copy(), index.copy()
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        neighbour = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        precedes = (dy, dx) < (0, 0)
        lower = neighbour <= lowest if precedes else neighbour < lowest
        np.copyto(lowest, neighbour, where=lower)
        np.copyto(target, index + (dy * width + dx), where=lower)
    flow = target.ravel()
    while True:
        further = flow[flow]
        if np.array_equal(further, flow):
            break
        flow = further
    is_minimum = flow == index.ravel()
    rank = np.cumsum(is_minimum, dtype=np.int32) - 1
    return rank[flow].reshape(height, width), int(is_minimum.sum())


def _adjacency(labels: Labels, total: int, channels: NDArray[np.float32]) -> _Graph:
    flat = labels.ravel()
    pixels = channels.reshape(len(channels), -1)
    count = np.bincount(flat, minlength=total).astype(float)
    mean = np.stack([np.bincount(flat, p, total) for p in pixels], 1) / count[:, None]
    square = np.bincount(flat, (pixels**2).sum(0), total) / count
    left = np.concatenate([labels[:, :-1].ravel(), labels[:-1].ravel()]).astype(np.int64)
    right = np.concatenate([labels[:, 1:].ravel(), labels[1:].ravel()]).astype(np.int64)
    border = left != right
    low, high = np.minimum(left[border], right[border]), np.maximum(left[border], right[border])
    pairs, length = np.unique(low * total + high, return_counts=True)
    return _Graph(count, mean, square, pairs // total, pairs % total, length.astype(float))


def _merge_until(graph: _Graph, scale: float) -> tuple[_Graph, NDArray[np.int64]]:
    """Merge mutual best neighbours until no merge costs less than ``scale``."""
    region = np.arange(len(graph.count))
    while True:
        cost = graph.merge_cost()
        edges = _mutual_best(graph, cost, scale)
        if not len(edges):
            return graph, region
        parent = np.arange(len(graph.count))
        parent[graph.second[edges]] = graph.first[edges]
        is_root = parent == np.arange(len(parent))
        merged = (np.cumsum(is_root) - 1)[parent]
        graph = graph.contracted(merged, int(is_root.sum()))
        region = merged[region]


def _mutual_best(graph: _Graph, cost: Floats, scale: float) -> NDArray[np.int64]:
    """The edges below ``scale`` that are the cheapest of both of their ends, in ascending order.

    Ties go to the lower edge number.
    """
    cheap = np.flatnonzero(cost < scale)
    first, second, cost = graph.first[cheap], graph.second[cheap], cost[cheap]
    lowest = np.full(len(graph.count), np.inf)
    np.minimum.at(lowest, first, cost)
    np.minimum.at(lowest, second, cost)
    edge = np.full(len(graph.count), len(cheap))
    for end in (first, second):
        best = np.flatnonzero(cost == lowest[end])
        np.minimum.at(edge, end[best], best)
    number = np.arange(len(cheap))
    return np.asarray(cheap[(edge[first] == number) & (edge[second] == number)])


def _contrast(graph: _Graph) -> NDArray[np.float32]:
    """Colour step to the neighbours against the spread inside; 0 where there is no neighbour.

    A faint step, or a spread that suggests several objects in one, counts against a region.
    """
    total = len(graph.count)
    weighted = graph.length * graph.distance()
    ends = np.concatenate([graph.first, graph.second])
    border = np.bincount(ends, np.tile(graph.length, 2), total)
    between = np.bincount(ends, np.tile(weighted, 2), total) / np.maximum(border, 1)
    within = np.maximum(graph.square - (graph.mean**2).sum(1), 0)
    step, spread = np.sqrt(between), np.sqrt(within)
    return np.asarray(step / (step + IMPURITY_COST * spread + FAINT_STEP), np.float32)


def _stability(
    size: Floats, fine: NDArray[np.int64], region: NDArray[np.int64], coarse: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Largest part over containing whole, per region; the arguments map basins (sizes ``size``)."""
    part_area = np.bincount(fine, size)
    whole_area = np.bincount(coarse, size)
    largest_part, whole = np.zeros(region.max() + 1), np.zeros(region.max() + 1)
    np.maximum.at(largest_part, region, part_area[fine])
    whole[region] = whole_area[coarse]
    return (largest_part / whole).astype(np.float32)
