from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terradelta.data import DATASETS, open_dataset, open_images
from terradelta.errors import InputError, UsageError

NAMES = {
    "train": ["aachen_1", "kujawsko-pomorskie_20", "les_cayes_4"],
    "val": ["aachen_11", "el_rodeo_8"],
}


@pytest.fixture
def root(tmp_path: Path, make: Any) -> Path:
    path: Path = make.openearthmap(tmp_path / "OpenEarthMap_wo_xBD", NAMES)
    return path


def test_images_are_found_by_the_lists(root: Path, make: Any) -> None:
    dataset = open_images(root.parent)
    assert (dataset.name, dataset.root, dataset.split) == ("openearthmap", root, "val")
    assert [image.name for image in dataset.images] == ["aachen_11", "el_rodeo_8"]
    train = open_images(root, split="train")
    assert len(train) == 3
    assert (train.images[2].image() == make.picture((20, 30), 2)).all()


def test_classes_are_the_codes_of_the_label(root: Path) -> None:
    assert len(DATASETS["openearthmap"].classes) == 9
    classes = open_images(root).images[0].classes()
    assert classes.dtype == np.uint8
    assert (classes == np.arange(30) % 9).all()
    assert classes.shape == (20, 30)


def test_crops_of_image_and_classes_agree(root: Path, make: Any) -> None:
    crops = open_images(root, crop=16).images
    assert [crop.name for crop in crops[:4]] == [
        "aachen_11_00000_00000",
        "aachen_11_00000_00016",
        "aachen_11_00016_00000",
        "aachen_11_00016_00016",
    ]
    assert (crops[1].image() == make.picture((20, 30), 0)[:16, 16:]).all()
    assert (crops[1].classes()[0] == np.arange(16, 30) % 9).all()


def test_shares_of_the_images_are_nested(root: Path) -> None:
    one = {image.name for image in open_images(root, split="all", share=0.2).images}
    three = {image.name for image in open_images(root, split="all", share=0.6).images}
    assert (len(one), len(three)) == (1, 3)
    assert one < three


def test_images_of_xbd_are_left_out_until_they_are_added(root: Path, make: Any) -> None:
    (root / "xbd_files.csv").write_text(
        "guatemala-volcano_00000008_pre_disaster.png,el_rodeo_8.tif\nx_pre_disaster.png,mahe_1.tif\n"
    )
    image = root / "el_rodeo" / "images" / "el_rodeo_8.tif"
    image.unlink()
    assert [each.name for each in open_images(root).images] == ["aachen_11"]
    make.save(image, make.picture((20, 30), 5))
    assert [each.name for each in open_images(root).images] == ["aachen_11", "el_rodeo_8"]


def test_another_missing_image_is_an_error(root: Path) -> None:
    (root / "el_rodeo" / "images" / "el_rodeo_8.tif").unlink()
    with pytest.raises(InputError, match=r"images lacks 1 of 2 images, the first is 'el_rodeo_8'"):
        open_images(root)


def test_a_class_that_is_none_is_refused(root: Path, make: Any) -> None:
    codes = np.full((20, 30), 9, np.uint8)
    make.save(root / "aachen" / "labels" / "aachen_11.tif", codes)
    with pytest.raises(
        InputError, match=r"aachen_11\.tif: holds 9, which are no classes \(0 to 8\)"
    ):
        open_images(root).images[0].classes()


def test_a_list_cannot_lead_out_of_the_dataset(root: Path, make: Any) -> None:
    outside = make.openearthmap(root.parent / "elsewhere", {"val": ["secret_1"]})
    assert (outside / "secret" / "images" / "secret_1.tif").is_file()
    (root / "val.txt").write_text("../elsewhere/secret/images/secret_1.tif\n")
    with pytest.raises(InputError, match=r"OpenEarthMap_wo_xBD/secret/images lacks 1 of 1"):
        open_images(root)


def test_single_dates_are_no_pairs(root: Path) -> None:
    with pytest.raises(UsageError, match="openearthmap is opened by open_images"):
        open_dataset(root, "openearthmap")
    with pytest.raises(UsageError, match="second is opened by open_dataset"):
        open_images(root, "second")
