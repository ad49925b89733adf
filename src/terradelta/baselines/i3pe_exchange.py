"""Pairs with known change, made of single images by exchanging patches.

Chen, Song, Wu, Du and Yokoya, "Exchange means change: an unsupervised single-temporal change detection
framework based on intra- and inter-image patch exchange", ISPRS Journal of Photogrammetry and Remote
Sensing 206, 2023. An image is cut into objects (SLIC), and the objects are clustered by the mean and
the deviation of their colours (DBSCAN, which finds the number of clusters itself). Patches are then
exchanged with others of the image, or with those at the same place of another image: what changed is
where the cluster did. Differences of light are simulated by colour, brightness, contrast and sharpness.

Numbers are those of the authors' released code. Objects in no cluster count as one class, as there.
That code gives every object of an exchange between images the cluster of its successor; here it keeps
its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import slic
from torchvision.transforms.v2 import functional as light

from terradelta.baselines.patches import at_least, random_window

OBJECTS = 1000
LEAST_OBJECT_PX = 64
RADIUS_WITHIN, RADIUS_BETWEEN = 7.0, 7.5
LEAST_CLUSTER = 10
PATCH_SIZES = (16, 32, 64, 128)
EXCHANGED_SHARE = 0.75
GAIN = (0.5, 2.0)
SHARPNESS = (0.0, 2.0)

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Cover = NDArray[np.int64]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class SingleDate:
    """An image uint8 [H, W, 3] with its valid pixels, its objects int64 [H, W], numbered from 0, what
    they look like, float64 [K, 6], and their clusters among themselves, int64 [K].
    """

    image: Image
    valid: Mask
    objects: Cover
    looks: NDArray[np.float64]
    clusters: Cover

    @classmethod
    def of(cls, image: Image, valid: Mask, least_px: int) -> SingleDate:
        """Cut into objects and clustered; continued where a side is below ``least_px``."""
        image, valid = at_least(image, valid, least_px)
        objects = objects_of(image)
        looks = looks_of(image, objects)
        return cls(image, valid, objects, looks, clusters_of(looks, RADIUS_WITHIN))


@dataclass(frozen=True, slots=True)
class MadePair:
    """``before``, ``after`` uint8 [s, s, 3]; ``changed``, ``valid`` bool [s, s]."""

    before: Image
    after: Image
    changed: Mask
    valid: Mask


def make_pair(image: SingleDate, other: SingleDate, size: int, random: Random) -> MadePair:
    """A pair of ``size`` x ``size`` px with its change, half of them from within the first image."""
    patch = int(random.choice([one for one in PATCH_SIZES if 2 * one <= size]))
    here, there = (random_window(one.valid.shape, size, random) for one in (image, other))
    if random.random() < 0.5:
        cover = image.clusters[image.objects[here]]
        made = exchange_within(image.image[here], cover, image.valid[here], patch, random)
    else:
        clusters = clusters_of(np.concatenate([image.looks, other.looks]), RADIUS_BETWEEN)
        cover = clusters[image.objects[here]]
        other_cover = clusters[len(image.looks) + other.objects[there]]
        made = exchange_between(
            (image.image[here], other.image[there]),
            (cover, other_cover),
            (image.valid[here], other.valid[there]),
            patch,
            random,
        )
    return turned(relit(made, random), random)


def objects_of(image: Image) -> Cover:
    """Compact objects of like colour: a thousand, fewer in images of less than 256 x 256 px."""
    count = max(1, min(OBJECTS, image.shape[0] * image.shape[1] // LEAST_OBJECT_PX))
    labels = slic(image, n_segments=count, start_label=0)
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int64)


def looks_of(image: Image, objects: Cover) -> NDArray[np.float64]:
    """Mean and standard deviation of each colour in each object, float64 [K, 6], in grey levels."""
    where = objects.ravel()
    area = np.bincount(where)
    bands = image.reshape(-1, 3).T.astype(np.float64)
    means = np.stack([np.bincount(where, band) / area for band in bands], 1)
    spread = (bands - means[where].T) ** 2
    deviations = np.sqrt(np.stack([np.bincount(where, band) / area for band in spread], 1))
    return np.concatenate([means, deviations], 1)


def clusters_of(looks: NDArray[np.float64], radius: float) -> Cover:
    """The cluster of each object, int64 [K], -1 for those in none."""
    from sklearn.cluster import DBSCAN

    return np.asarray(DBSCAN(eps=radius, min_samples=LEAST_CLUSTER).fit_predict(looks), np.int64)


def exchange_within(
    image: Image, cover: Cover, valid: Mask, patch: int, random: Random
) -> MadePair:
    """Patches of an image change places, two by two; ``cover`` int [H, W] is what lies where."""
    source = swapped_patches(cover.shape, patch, random)
    return MadePair(
        image,
        image.reshape(-1, 3)[source],
        cover.ravel()[source] != cover,
        valid & valid.ravel()[source],
    )


def exchange_between(
    images: tuple[Image, Image],
    covers: tuple[Cover, Cover],
    valid: tuple[Mask, Mask],
    patch: int,
    random: Random,
) -> MadePair:
    """Patches of the second image take the place of those of the first."""
    replaced = chosen_patches(covers[0].shape, patch, random)
    return MadePair(
        images[0],
        np.where(replaced[..., None], images[1], images[0]),
        replaced & (covers[0] != covers[1]),
        valid[0] & (valid[1] | ~replaced),
    )


def swapped_patches(shape: tuple[int, ...], patch: int, random: Random) -> NDArray[np.intp]:
    """Flat index of the pixel that comes to each place, [H, W], if patches change places.

    Patches lie on a grid from the top left; what is left over at the right and bottom stays.
    """
    source = np.arange(shape[0] * shape[1]).reshape(shape)
    swapped = source.copy()
    corners = _some_patches(shape, patch, random)
    for one, another in zip(corners[::2], corners[1::2], strict=False):
        swapped[one], swapped[another] = source[another], source[one]
    return swapped


def chosen_patches(shape: tuple[int, ...], patch: int, random: Random) -> Mask:
    """True in the patches of the grid that are exchanged, bool [H, W]."""
    chosen = np.zeros(shape, bool)
    for one in _some_patches(shape, patch, random):
        chosen[one] = True
    return chosen


def relit(pair: MadePair, random: Random) -> MadePair:
    """Neither date, one or both, with equal chance, in another light."""
    before, after = [(False, False), (True, False), (False, True), (True, True)][
        int(random.integers(4))
    ]
    return MadePair(
        in_other_light(pair.before, random) if before else pair.before,
        in_other_light(pair.after, random) if after else pair.after,
        pair.changed,
        pair.valid,
    )


def in_other_light(image: Image, random: Random) -> Image:
    """Saturation, brightness, contrast and sharpness, each by a random factor."""
    planes = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    for adjust in (light.adjust_saturation, light.adjust_brightness, light.adjust_contrast):
        planes = adjust(planes, random.uniform(*GAIN))
    planes = light.adjust_sharpness(planes, random.uniform(*SHARPNESS))
    return np.asarray(planes.permute(1, 2, 0).numpy())


def turned(pair: MadePair, random: Random) -> MadePair:
    """All of a pair flipped and turned by quarters, alike."""
    quarters, mirrored = int(random.integers(4)), bool(random.integers(2))

    def turn(plane: NDArray[Any]) -> NDArray[Any]:
        plane = np.rot90(plane, quarters)
        return plane[:, ::-1] if mirrored else plane

    return MadePair(*map(turn, (pair.before, pair.after, pair.changed, pair.valid)))


def _some_patches(shape: tuple[int, ...], patch: int, random: Random) -> list[tuple[slice, slice]]:
    """Three quarters of the patches of the grid, at least two, in random order."""
    rows, columns = shape[0] // patch, shape[1] // patch
    order = random.permutation(rows * columns)[: max(2, round(EXCHANGED_SHARE * rows * columns))]
    return [
        (slice(patch * row, patch * (row + 1)), slice(patch * column, patch * (column + 1)))
        for row, column in zip(*np.divmod(order, columns), strict=True)
    ]
