"""Changes made by hand, and a textured place into which rectangles are pasted."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from scipy import ndimage

from terradelta import Changes
from terradelta.geo.pair import Pair
from terradelta.geo.reader import Georeference
from terradelta.sam.masks import Masks

Box = tuple[slice, slice]
PLACE = Georeference(CRS.from_epsg(32633), Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000))


@pytest.fixture(scope="session")
def place() -> Georeference:
    """Half-metre pixels in UTM zone 33 north."""
    return PLACE


@pytest.fixture(scope="session")
def make_pair() -> Callable[..., Pair]:
    """Two images of noise, plain unless a georeference is given."""

    def make(
        shape: tuple[int, int] = (12, 20), *, georeference: Georeference | None = None
    ) -> Pair:
        random = np.random.default_rng(0)
        before, after = random.integers(0, 256, (2, *shape, 3)).astype(np.uint8)
        valid, bands = np.ones(shape, bool), ((1, 2, 3), (1, 2, 3))
        return Pair(before, after, valid, georeference, ("before", "after"), bands)

    return make


@pytest.fixture(scope="session")
def make_changes(make_pair: Callable[..., Pair]) -> Callable[..., Changes]:
    """Changes of given masks; each pixel has the angle of the most changed mask that holds it."""

    def make(
        dense: NDArray[np.bool_],
        angle: Sequence[float],
        date: Sequence[str] | None = None,
        *,
        threshold: float = 25.0,
        pixel_angle: NDArray[Any] | None = None,
        pair: Pair | None = None,
    ) -> Changes:
        masks, angles = Masks.from_dense(dense), np.array(angle, np.float32)
        return Changes(
            _masks=masks,
            angle=angles,
            iou=np.linspace(0.9, 0.5, len(angles), dtype=np.float32),
            stability=np.linspace(1.0, 0.8, len(angles), dtype=np.float32),
            date=list(date or ["after"] * len(angles)),
            threshold=threshold,
            pixel_angle=masks.paint_max(angles) if pixel_angle is None else pixel_angle,
            pair=pair or make_pair(masks.shape),
            settings={"model": "by hand"},
        )

    return make


@pytest.fixture(scope="session")
def texture() -> Callable[..., NDArray[np.uint8]]:
    """Smooth noise around a colour, uint8 [H, W, 3]; another seed is another place."""

    def make(
        shape: tuple[int, int],
        colour: tuple[int, int, int],
        *,
        seed: int,
        grain: float = 2.0,
        spread: float = 14.0,
    ) -> NDArray[np.uint8]:
        white = np.random.default_rng(seed).normal(size=(*shape, 3))
        noise = ndimage.gaussian_filter(white, (grain, grain, 0))
        return np.clip(noise / noise.std() * spread + colour, 0, 255).astype(np.uint8)

    return make


class Pasted(NamedTuple):
    """A green place before and after rectangles of other textures appeared in it, by name."""

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    boxes: dict[str, Box]

    def truth(self, *names: str) -> NDArray[np.bool_]:
        truth = np.zeros(self.before.shape[:2], bool)
        for name in names:
            truth[self.boxes[name]] = True
        return truth


@pytest.fixture(scope="session")
def village(texture: Callable[..., NDArray[np.uint8]]) -> Pasted:
    """Two roofs of one red and a pool."""
    boxes = {
        "roof": np.s_[16:46, 20:60],
        "other roof": np.s_[80:110, 30:64],
        "pool": np.s_[30:70, 110:150],
    }
    before = texture((128, 176), (90, 120, 70), seed=1)
    after = before.copy()
    for seed, (name, box) in enumerate(boxes.items()):
        size = box[0].stop - box[0].start, box[1].stop - box[1].start
        colour = (60, 90, 170) if name == "pool" else (200, 90, 70)
        after[box] = texture(size, colour, seed=103 + seed, grain=1, spread=8)
    return Pasted(before, after, boxes)
