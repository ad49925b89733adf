from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terradelta.data import DATASETS, open_dataset
from terradelta.data.xview2 import read_polygons
from terradelta.errors import InputError

CLASSES = DATASETS["xview2"].classes
PLACE = "joplin-tornado_00000001"
POST = f"{PLACE}_post_disaster.json"


@pytest.fixture
def root(tmp_path: Path, make: Any) -> Path:
    names = {"train": [PLACE, "socal-fire_00000007"], "tier3": ["a_1"], "test": [PLACE]}
    path: Path = make.xview2(tmp_path, names)
    return path


def drawn(root: Path, make: Any, *buildings: tuple[str, str], crop: int | None = None) -> Any:
    """The damage of a place with other buildings; with a crop, of all crops put together."""
    make.polygons(root / "test" / "labels" / POST, *buildings)
    samples = open_dataset(root, crop=crop).samples
    return [sample.classes()[1] for sample in samples if sample.classes]


def test_splits_and_images(root: Path, make: Any) -> None:
    dataset = open_dataset(root)
    assert (dataset.name, dataset.split) == ("xview2", "test")
    assert [sample.name for sample in dataset.samples] == [PLACE]
    train = open_dataset(root, split="train").samples
    assert [sample.name for sample in train] == [PLACE, "socal-fire_00000007"]
    assert (train[1].pair().before == make.picture(seed=2)).all()
    assert (train[1].pair().after == make.picture(seed=3)).all()
    assert len(open_dataset(root, split="all")) == 4


def test_change_is_the_damaged_building(root: Path, make: Any) -> None:
    (sample,) = open_dataset(root).samples
    assert (sample.truth() == (make.mask(2, 5, 8, 9) > 0)).all()
    assert sample.truth().sum() == 6 * 4


def test_the_classes_are_buildings_and_their_damage(root: Path, make: Any) -> None:
    (sample,) = open_dataset(root).samples
    assert sample.classes is not None
    before, after = sample.classes()
    ruin, house = make.mask(2, 5, 8, 9, value=1), make.mask(20, 20, 23, 23, value=1)
    assert (before == ruin + house).all()
    assert (after == ruin * CLASSES.index("destroyed") + house * CLASSES.index("no-damage")).all()
    assert after.dtype == np.uint8


@pytest.mark.parametrize(
    ("damage", "code", "changed"),
    [
        ("no-damage", 1, False),
        ("minor-damage", 2, True),
        ("major-damage", 3, True),
        ("destroyed", 4, True),
        ("un-classified", 5, False),
    ],
)
def test_every_damage_has_its_class(
    root: Path, make: Any, damage: str, code: int, changed: bool
) -> None:
    (after,) = drawn(root, make, (make.box_wkt(0, 0, 3, 2), damage))
    assert np.bincount(after.ravel()).tolist() == [1018, *[0] * (code - 1), 6]
    (sample,) = open_dataset(root).samples
    assert sample.truth().sum() == (6 if changed else 0)


def test_a_pixel_belongs_to_a_building_if_its_centre_does(root: Path, make: Any) -> None:
    """Corners at 1.4 and 4.6 hold the centres 1.5 to 4.5; at 1.6 and 4.4 those of 2.5 and 3.5."""
    (after,) = drawn(root, make, (make.box_wkt(1.4, 1.6, 4.6, 4.4), "destroyed"))
    assert np.argwhere(after).tolist() == [[y, x] for y in (2, 3) for x in (1, 2, 3, 4)]


def test_a_triangle_holds_the_centres_below_its_diagonal(root: Path, make: Any) -> None:
    """Of row y the centres with x + 0.5 < 8 - (y + 0.5) - 0.25: 7, 6, 5 ... 1 of them."""
    (after,) = drawn(root, make, ("POLYGON ((0 0, 7.75 0, 0 7.75, 0 0))", "destroyed"))
    assert (after > 0).sum(1).tolist()[:9] == [7, 6, 5, 4, 3, 2, 1, 0, 0]


def test_holes_stay_open(root: Path, make: Any) -> None:
    yard = "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0), (3 3, 7 3, 7 7, 3 7, 3 3))"
    (after,) = drawn(root, make, (yard, "destroyed"))
    assert (after > 0).sum() == 100 - 16
    assert not after[3:7, 3:7].any()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_the_worse_damage_covers_the_lesser(
    root: Path, make: Any, order: tuple[int, int, int]
) -> None:
    buildings = [
        (make.box_wkt(0, 0, 4, 4), "destroyed"),
        (make.box_wkt(2, 0, 6, 4), "minor-damage"),
        (make.box_wkt(4, 0, 8, 4), "un-classified"),
    ]
    (after,) = drawn(root, make, *(buildings[k] for k in order))
    assert after[0, :9].tolist() == [4, 4, 4, 4, 2, 2, 5, 5, 0]


def test_no_building_is_no_change(root: Path, make: Any) -> None:
    (after,) = drawn(root, make)
    assert not after.any()


def test_crops_draw_their_part_of_every_building(root: Path, make: Any) -> None:
    building = (make.box_wkt(10, 12, 25, 22), "destroyed")
    (whole,) = drawn(root, make, building)
    parts = drawn(root, make, building, crop=20)
    assert len(parts) == 4
    assert (np.block([[parts[0], parts[1]], [parts[2], parts[3]]]) == whole).all()
    assert whole.astype(bool).sum() == 150


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"features": {}}',
        '{"features": {"xy": [{"properties": {}}]}}',
        '{"features": {"xy": [{"properties": {}, "wkt": "POLYGON 3"}]}}',
        '{"features": {"xy": [{"properties": {"subtype": "haunted"}, "wkt": "POINT (1 1)"}]}}',
        '{"features": {"xy": [{"properties": 5, "wkt": "POINT (1 1)"}]}}',
    ],
)
def test_a_damaged_label_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json (cannot be read as JSON|is no label of xBD)"):
        read_polygons(tmp_path / "a.json")


def test_a_missing_image_and_a_missing_label_are_named(root: Path) -> None:
    (root / "test" / "labels" / POST).unlink()
    with pytest.raises(InputError, match=rf"labels lacks 1 of 1 files, the first is '{PLACE}'"):
        open_dataset(root)
    (root / "train" / "images" / f"{PLACE}_post_disaster.png").unlink()
    with pytest.raises(InputError, match=rf"images lacks 1 of 2 images, the first is '{PLACE}'"):
        open_dataset(root, split="train")
