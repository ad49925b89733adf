"""Tiny copies of the datasets, laid out as they are published, with truths that are known."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasterio.transform import Affine

from terradelta.geo.files import write_geotiff

GRID = Affine(0.5, 0, 1000, 0, -0.5, 2000)
BANDS = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"]


def picture(shape: tuple[int, int] = (32, 32), seed: int = 0) -> np.ndarray:
    """A photograph: uint8 [H, W, 3] that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


def mask(
    *box: int, shape: tuple[int, int] = (32, 32), value: int = 255, ground: int = 0
) -> np.ndarray:
    """uint8 [H, W] of ``ground`` with a box x0, y0, x1, y1 of ``value``."""
    drawn = np.full(shape, ground, np.uint8)
    x0, y0, x1, y1 = box or (0, 0, 0, 0)
    drawn[y0:y1, x0:x1] = value
    return drawn


def save(path: Path, pixels: np.ndarray) -> Path:
    """An image file; a TIFF says where it lies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif" and pixels.dtype == np.uint8:
        write_geotiff(path, pixels, "EPSG:32760", GRID)
    else:
        Image.fromarray(pixels).save(path)
    return path


def truncate(path: Path, share: float = 0.6) -> Path:
    """Only the first part of the file is left."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def split_pairs(
    root: Path,
    roles: dict[str, str],
    names: dict[str, Iterable[str]],
    truth: Callable[[str], np.ndarray] = lambda name: mask(2, 3, 8, 10),
    shape: tuple[int, int] = (32, 32),
) -> Path:
    """``root`` / split / folder / name for the roles before, after and label."""
    for split, files in names.items():
        for number, name in enumerate(files):
            save(root / split / roles["before"] / name, picture(shape, 2 * number))
            save(root / split / roles["after"] / name, picture(shape, 2 * number + 1))
            save(root / split / roles["label"] / name, truth(name))
    return root


def second(root: Path, names: dict[str, list[str]]) -> Path:
    """SECOND: water became building in a box of 6 x 4, low vegetation a playground in one pixel."""
    before = np.full((32, 32, 3), 255, np.uint8)
    after = before.copy()
    before[10:14, 4:10], after[10:14, 4:10] = (0, 0, 255), (128, 0, 0)
    before[31, 31], after[31, 31] = (0, 128, 0), (255, 0, 0)
    for split, files in names.items():
        for number, name in enumerate(files):
            for date, (folder, label) in enumerate((("im1", before), ("im2", after))):
                save(root / split / folder / f"{name}.png", picture(seed=2 * number + date))
                save(root / split / f"label{date + 1}" / f"{name}.png", label)
    return root


def polygons(path: Path, *buildings: tuple[str, str | None], side: int = 32) -> Path:
    """A label file of xBD: WKT and damage of every building."""
    features = [
        {
            "properties": {"feature_type": "building", "uid": str(k)}
            | ({} if damage is None else {"subtype": damage}),
            "wkt": wkt,
        }
        for k, (wkt, damage) in enumerate(buildings)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "features": {"lng_lat": [], "xy": features},
        "metadata": {"width": side, "height": side, "disaster": "made"},
    }
    path.write_text(json.dumps(content))
    return path


def box_wkt(x0: float, y0: float, x1: float, y1: float) -> str:
    return f"POLYGON (({x0} {y0}, {x1} {y0}, {x1} {y1}, {x0} {y1}, {x0} {y0}))"


def xview2(root: Path, names: dict[str, list[str]]) -> Path:
    """xBD: a destroyed building of 6 x 4 px and one of 3 x 3 that stands."""
    ruin, house = box_wkt(2, 5, 8, 9), box_wkt(20, 20, 23, 23)
    for split, places in names.items():
        for number, place in enumerate(places):
            for date, when in enumerate(("pre", "post")):
                stem = f"{place}_{when}_disaster"
                save(root / split / "images" / f"{stem}.png", picture(seed=2 * number + date))
                save(root / split / "targets" / f"{stem}_target.png", mask())
            labels = root / split / "labels"
            polygons(labels / f"{place}_pre_disaster.json", (ruin, None), (house, None))
            polygons(
                labels / f"{place}_post_disaster.json", (ruin, "destroyed"), (house, "no-damage")
            )
    return root


def oscd(root: Path, towns: dict[str, list[str]], style: str = "onera") -> Path:
    """OSCD: band k of a date is ``1000 * date + 100 * k`` and one more in every column."""
    stem = "Onera Satellite Change Detection dataset - "
    if style == "dataport":
        stem = "onera_satellite_change_detection dataset__"
    folder = {
        "images": "Images" if style == "onera" else "images",
        "train": "Train Labels" if style == "onera" else "train_labels",
        "test": "Test Labels" if style == "onera" else "test_labels",
    }
    for split, names in towns.items():
        for town in names:
            for date in (1, 2):
                for k, band in enumerate(BANDS):
                    pixels = np.full((24, 20), 1000 * date + 100 * k) + np.arange(20)
                    path = root / f"{stem}{folder['images']}" / town / f"imgs_{date}_rect"
                    save(path / f"{band}.tif", pixels.astype(np.uint16))
            truth = mask(3, 4, 9, 9, shape=(24, 20))
            save(root / f"{stem}{folder[split]}" / town / "cm" / "cm.png", truth)
    return root


def openearthmap(root: Path, names: dict[str, list[str]]) -> Path:
    """OpenEarthMap: the classes of an image are its columns modulo 9."""
    classes = np.broadcast_to(np.arange(30) % 9, (20, 30)).astype(np.uint8)
    root.mkdir(parents=True, exist_ok=True)
    for split, stems in names.items():
        (root / f"{split}.txt").write_text("".join(f"{stem}.tif\n" for stem in stems))
        for number, stem in enumerate(stems):
            region = root / stem.rsplit("_", 1)[0]
            save(region / "images" / f"{stem}.tif", picture((20, 30), number))
            save(region / "labels" / f"{stem}.tif", classes)
    return root


def whu(root: Path, shape: tuple[int, int] = (70, 100), split: str | None = None) -> Path:
    """WHU-CD: the scene, or a part of it; a house of 4 x 3 px in its last corner is new."""
    before, after = picture(shape, 1), picture(shape, 2)
    height, width = shape
    truth = mask(width - 4, height - 3, width, height, shape=shape)
    if split is None:
        save(root / "before" / "before.tif", before)
        save(root / "after" / "after.tif", after)
        save(root / "change label" / "change_label.tif", truth)
    else:
        for year, image in (("2012", before), ("2016", after)):
            path = root / year / "whole_image" / split / "image" / f"{year}_{split}.tif"
            save(path, image)
        save(root / "change_label" / split / "change_label.tif", truth // 255)
    return root


@pytest.fixture(scope="session")
def make() -> Any:
    """The makers by name."""
    return SimpleNamespace(
        picture=picture,
        mask=mask,
        save=save,
        truncate=truncate,
        split_pairs=split_pairs,
        second=second,
        polygons=polygons,
        box_wkt=box_wkt,
        xview2=xview2,
        oscd=oscd,
        openearthmap=openearthmap,
        whu=whu,
        grid=GRID,
    )
