"""xView2 (xBD): buildings before and after a disaster (Gupta et al., CVPR workshops 2019).

The truth is drawn from the polygons of ``labels``, whose corners are pixels: a pixel belongs to a
building if its centre lies inside. Where polygons overlap, the worse damage holds. Change is a damaged
building: minor, major or destroyed. A building whose damage could not be told (un-classified) has a class
of its own and is no change: nothing says that it was damaged. The masks in ``targets`` are not needed.

``classes`` is 1 for buildings of the earlier date, and the damage (1 to 5) of the later one. ChangeCLIP
speaks of 9,089 images of train and tier3 together; 2,799 and 6,369 are published.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine
from shapely.errors import ShapelyError

from terradelta.data.card import Card, alike
from terradelta.data.checks import Look, look_at_image
from terradelta.data.dataset import BoolArray, ClassArray, Sample
from terradelta.data.images import shape_of
from terradelta.data.layout import Files, Layout, images_of, read_pair
from terradelta.data.windows import Window
from terradelta.errors import InputError

SPLITS = ("train", "tier3", "test", "hold")
DATES = {"before": "pre_disaster", "after": "post_disaster"}
CLASSES = ("no building", "no-damage", "minor-damage", "major-damage", "destroyed", "un-classified")
DAMAGED = [CLASSES.index(name) for name in ("minor-damage", "major-damage", "destroyed")]
DRAWN = [CLASSES.index("un-classified"), *range(1, CLASSES.index("un-classified"))]
"""The order of drawing: what comes later covers what came before."""


def _splits(root: Path) -> tuple[str, ...]:
    return tuple(
        split
        for split in SPLITS
        if (root / split / "labels").is_dir()
        and any((root / split / "images").glob("*_disaster.*"))
    )


def _files(root: Path, split: str) -> list[Files]:
    images, labels = root / split / "images", root / split / "labels"
    there = images_of(images)
    polygons = {path.stem for path in labels.glob("*.json")}
    places = {
        stem.removesuffix(f"_{suffix}")
        for stem in [*there, *polygons]
        for suffix in DATES.values()
        if stem.endswith(f"_{suffix}")
    }
    files = []
    for place in sorted(places):
        stems = {date: f"{place}_{suffix}" for date, suffix in DATES.items()}
        paths = {
            **{d: there.get(s, images / f"{s}.png") for d, s in stems.items()},
            **{f"{d} polygons": labels / f"{s}.json" for d, s in stems.items()},
        }
        missing = {d for d, s in stems.items() if s not in there}
        missing |= {f"{d} polygons" for d, s in stems.items() if s not in polygons}
        files.append(Files(place, paths, frozenset(missing)))
    return files


def _sample(files: Files, window: Window | None, name: str) -> Sample:
    return Sample(
        name,
        partial(read_pair, files, window),
        partial(_truth, files, window),
        partial(_classes, files, window),
    )


def _truth(files: Files, window: Window | None) -> BoolArray:
    return np.isin(_damage(files, window), DAMAGED)


def _classes(files: Files, window: Window | None) -> tuple[ClassArray, ClassArray]:
    height, width = shape_of(files.paths["before"])
    buildings = [(shape, 1) for shape, _ in read_polygons(files.paths["before polygons"])]
    return _drawn(buildings, window or Window(0, 0, height, width)), _damage(files, window)


def _damage(files: Files, window: Window | None) -> ClassArray:
    height, width = shape_of(files.paths["after"])
    polygons = read_polygons(files.paths["after polygons"])
    polygons.sort(key=lambda polygon: DRAWN.index(polygon[1]))
    return _drawn(polygons, window or Window(0, 0, height, width))


def _drawn(polygons: list[tuple[Any, int]], window: Window) -> ClassArray:
    shape = window.height, window.width
    if not polygons:
        return np.zeros(shape, np.uint8)
    corner = Affine.translation(window.left, window.top)
    drawn = rasterize(polygons, shape, transform=corner, fill=0, dtype="uint8")
    return np.asarray(drawn, np.uint8)


def read_polygons(path: Path) -> list[tuple[Any, int]]:
    """The buildings of a label file in pixels, each with its damage class, 1 if none is told.

    Raises:
        InputError: missing, not JSON, or not laid out as labels of xBD are.
    """
    return _polygons(path, _content(path))


def look_at_polygons(path: Path) -> Look:
    """A label file: its polygons, and the size of the image that it says it belongs to."""
    content = _content(path)
    _polygons(path, content)
    told = content.get("metadata")
    height, width = (told.get(k) if isinstance(told, dict) else None for k in ("height", "width"))
    return Look((height, width) if isinstance(height, int) and isinstance(width, int) else None)


def _content(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error


def _polygons(path: Path, content: Any) -> list[tuple[Any, int]]:
    try:
        found = content["features"]["xy"]
        shapes = shapely.from_wkt([feature["wkt"] for feature in found])
        names = [feature["properties"].get("subtype", "no-damage") for feature in found]
        codes = [CLASSES.index(name, 1) for name in names]
    except (LookupError, TypeError, ValueError, AttributeError, ShapelyError) as error:
        raise InputError(
            f"{path} is no label of xBD (features, xy, each with wkt and properties): "
            f"{type(error).__name__} {error}"
        ) from error
    return [each for each in zip(shapes, codes, strict=True) if each[0].area > 0]


XVIEW2 = Layout(
    Card(
        name="xview2",
        title="xView2 (xBD)",
        paper="Gupta et al., 2019",
        url="https://xview2.org",
        terms="CC BY-NC-SA 4.0",
        labels="damaged buildings, with four grades of damage",
        layout="train, tier3, test and hold, each with images (..._pre_disaster.png and "
        "..._post_disaster.png) and labels (the same names, .json)",
        splits=alike(1024, 1024, train=2799, tier3=6369, test=933, hold=933),
        crops={"anychange": 256},
        classes=CLASSES,
    ),
    _splits,
    _files,
    _sample,
    {
        "before": look_at_image,
        "after": look_at_image,
        "before polygons": look_at_polygons,
        "after polygons": look_at_polygons,
    },
)
