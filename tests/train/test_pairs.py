from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rasterio.transform import Affine

from terradelta.errors import InputError, UsageError
from terradelta.geo.files import write_geotiff, write_png
from terradelta.train.pairs import open_pairs, open_split, read_soft_label


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pairs of 4 x 6 px; in the first, one pixel of the later date is transparent."""
    for name in ("one", "two"):
        image = np.full((4, 6, 3), 90, np.uint8)
        label = np.zeros((4, 6), np.uint8)
        label[:2] = 255
        write_png(tmp_path / "A" / f"{name}.png", image)
        write_png(tmp_path / "B" / f"{name}.png", image + np.uint8(5))
        write_png(tmp_path / "label" / f"{name}.png", label)
    alpha = np.full((4, 6), 255, np.uint8)
    alpha[0, 0] = 0
    hole = np.dstack([np.full((4, 6, 3), 95, np.uint8), alpha])
    Image.fromarray(hole, "RGBA").save(tmp_path / "B" / "one.png")
    return tmp_path


def test_a_dataset_gives_float_labels_and_255_where_a_date_is_empty(folder: Path) -> None:
    pairs = open_pairs(folder, "train")
    assert len(pairs) == 2
    before, after, label = pairs[0]
    assert before.dtype == after.dtype == np.uint8
    assert label.dtype == np.float32
    assert label[0].tolist() == [255, 1, 1, 1, 1, 1]
    assert label[1:].tolist() == [[1] * 6, [0] * 6, [0] * 6]
    assert set(np.unique(pairs[1][2])) == {0, 1}


def test_where_a_label_is_transparent_nobody_knows(folder: Path) -> None:
    label = np.zeros((4, 6, 2), np.uint8)
    label[..., 1] = 255
    label[1, :2] = 255, 0
    label[2, 3] = 0, 0
    label[3, 5, 0] = 255
    write_png(folder / "label" / "two.png", label)
    found = open_pairs(folder, "train")[1][2]
    assert np.argwhere(found == 255).tolist() == [[1, 0], [1, 1], [2, 3]]
    assert np.argwhere(found == 1).tolist() == [[3, 5]]


def test_nodata_in_a_label_is_no_change(folder: Path) -> None:
    label = np.zeros((4, 6), np.uint8)
    label[0] = 255
    (folder / "label" / "two.png").unlink()
    write_geotiff(folder / "label" / "two.tif", label, None, Affine(1, 0, 0, 0, -1, 9), nodata=0)
    assert np.unique(open_pairs(folder, "train")[1][2][1:]).tolist() == [0]


def test_soft_labels_of_levir_cd_in_one_folder_lie_beside_its_images(tmp_path: Path) -> None:
    for role, value in (("A", 90), ("B", 90), ("label", 0), ("soft", 51)):
        shape = (4, 6, 3) if role in "AB" else (4, 6)
        write_png(tmp_path / role / "train_1.png", np.full(shape, value, np.uint8))
    assert open_pairs(tmp_path, "train", soft=True)[0][2] == pytest.approx(0.2)


def test_soft_labels_replace_the_truth(folder: Path) -> None:
    for name in ("one", "two"):
        write_png(folder / "soft" / f"{name}.png", np.full((4, 6), 51, np.uint8))
    label = open_pairs(folder, "train", soft=True)[0][2]
    assert label[0, 0] == 255
    assert label[1:] == pytest.approx(0.2)
    (folder / "soft" / "two.png").unlink()
    with pytest.raises(InputError, match="no soft label for two"):
        open_pairs(folder, "train", soft=True)


def test_soft_labels_of_the_wrong_size_are_named(folder: Path) -> None:
    for name in ("one", "two"):
        write_png(folder / "soft" / f"{name}.png", np.full((4, 5), 51, np.uint8))
    pairs = open_pairs(folder, "train", soft=True)
    with pytest.raises(InputError, match="the label of one is 5 x 4 px, its images 6 x 4"):
        pairs[0]


def test_soft_labels_may_be_fractions_with_gaps(tmp_path: Path) -> None:
    values = np.array([[0.25, np.nan], [1.0, 0.0]], np.float32)
    write_geotiff(tmp_path / "soft.tif", values, None, Affine(1, 0, 0, 0, -1, 9))
    assert read_soft_label(tmp_path / "soft.tif").tolist() == [[0.25, 255], [1, 0]]
    write_geotiff(tmp_path / "odd.tif", values + 1, None, Affine(1, 0, 0, 0, -1, 9))
    with pytest.raises(InputError, match="is no soft label"):
        read_soft_label(tmp_path / "odd.tif")


def test_splits_are_taken_by_name_and_a_whole_is_no_split(folder: Path, tmp_path: Path) -> None:
    assert open_split(folder, "val") is None
    for split in ("train", "val"):
        for role in ("A", "B", "label"):
            target = tmp_path / "split" / split / role
            target.mkdir(parents=True)
            (target / "two.png").write_bytes((folder / role / "two.png").read_bytes())
    root = tmp_path / "split"
    assert len(open_pairs(root, "train")) == 1
    held_out = open_split(root, "val")
    assert held_out is not None
    assert len(held_out) == 1
    with pytest.raises(UsageError, match="no split 'test'"):
        open_pairs(root, "test")
