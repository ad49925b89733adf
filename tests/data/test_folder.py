from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terradelta.data import open_dataset
from terradelta.data.folder import read_mask
from terradelta.errors import InputError

ROLES = {"before": "A", "after": "B", "label": "label"}
REAL = Path(__file__).parents[3] / "shared" / "data" / "pairs"


def folder(root: Path, make: Any, names: tuple[str, ...] = ("b.png", "a.png")) -> Path:
    path: Path = make.split_pairs(root, ROLES, {"": names})
    return path


def test_pairs_are_matched_by_name_and_read_when_asked_for(tmp_path: Path, make: Any) -> None:
    dataset = open_dataset(folder(tmp_path, make))
    assert (dataset.name, dataset.root, dataset.split) == ("folder", tmp_path, "all")
    assert [sample.name for sample in dataset.samples] == ["a", "b"]
    (tmp_path / "A" / "b.png").write_text("not an image")
    sample, broken = dataset.samples
    assert (sample.pair().before == make.picture(seed=2)).all()
    assert (sample.pair().after == make.picture(seed=3)).all()
    assert (sample.truth() == (make.mask(2, 3, 8, 10) > 0)).all()
    assert sample.classes is None
    with pytest.raises(InputError, match=r"b\.png cannot be read"):
        broken.pair()


def test_a_label_is_change_where_it_is_not_0(tmp_path: Path, make: Any) -> None:
    folder(tmp_path, make)
    grades = make.mask(2, 3, 8, 10, value=1) + make.mask(5, 5, 20, 20, value=3)
    make.save(tmp_path / "label" / "a.png", grades)
    assert (open_dataset(tmp_path).samples[0].truth() == (grades > 0)).all()


def test_suffixes_may_differ_and_what_is_no_image_is_passed_over(tmp_path: Path, make: Any) -> None:
    folder(tmp_path, make, ("a.png",))
    (tmp_path / "label" / "a.png").unlink()
    make.save(tmp_path / "label" / "a.tif", make.mask(1, 1, 3, 3))
    (tmp_path / "label" / "notes.txt").write_text("a note")
    (tmp_path / "A" / ".a.png").write_text("half-written")
    (sample,) = open_dataset(tmp_path).samples
    assert sample.truth().sum() == 4


def test_a_folder_may_be_split(tmp_path: Path, make: Any) -> None:
    make.split_pairs(tmp_path, ROLES, {"train": ["a.png", "b.png"], "val": ["a.png"]})
    assert open_dataset(tmp_path).split == "val"
    assert len(open_dataset(tmp_path, split="train")) == 2
    everything = open_dataset(tmp_path, split="all")
    assert [sample.name for sample in everything.samples] == ["train_a", "train_b", "val_a"]


def test_a_missing_partner_is_named(tmp_path: Path, make: Any) -> None:
    folder(tmp_path, make, ("a.png", "b.png", "c.png"))
    (tmp_path / "label" / "b.png").unlink()
    (tmp_path / "label" / "c.png").unlink()
    with pytest.raises(InputError, match=r"label lacks 2 of 3 images, the first is 'b'"):
        open_dataset(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path, make: Any) -> None:
    make.save(tmp_path / "a.png", make.picture())
    with pytest.raises(InputError, match=r"A is not a folder\. Give a folder with A, B and label"):
        open_dataset(tmp_path)
    folder(tmp_path, make)
    (tmp_path / "label").rename(tmp_path / "labels")
    with pytest.raises(InputError, match=r"label is not a folder"):
        open_dataset(tmp_path)
    with pytest.raises(InputError, match=r"absent is not a folder$"):
        open_dataset(tmp_path / "absent")


def test_a_label_of_another_size_is_named(tmp_path: Path, make: Any) -> None:
    folder(tmp_path, make)
    make.save(tmp_path / "label" / "a.png", make.mask(shape=(32, 30)))
    with pytest.raises(InputError, match=r"label\S+a\.png is 30 x 32 px, its partner 32 x 32"):
        open_dataset(tmp_path).samples[0].truth()


def test_crops_are_parts_of_the_pair(tmp_path: Path, make: Any) -> None:
    folder(tmp_path, make, ("a.png",))
    (whole,) = open_dataset(tmp_path).samples
    crops = open_dataset(tmp_path, crop=20).samples
    assert [crop.name for crop in crops] == [
        "a_00000_00000",
        "a_00000_00020",
        "a_00020_00000",
        "a_00020_00020",
    ]
    assert (crops[1].pair().before == whole.pair().before[:20, 20:]).all()
    assert (crops[3].truth() == whole.truth()[20:, 20:]).all()
    assert sum(crop.truth().sum() for crop in crops) == whole.truth().sum() == 6 * 7


def test_a_mask_is_what_is_valid_and_not_0(tmp_path: Path, make: Any) -> None:
    colours = np.zeros((4, 5, 4), np.uint8)
    colours[1:, :, 3] = 255
    colours[:2, 2, 1] = 9
    Image.fromarray(colours).save(tmp_path / "mask.png")
    assert np.argwhere(read_mask(tmp_path / "mask.png")).tolist() == [[1, 2]]
    with pytest.raises(InputError, match=r"mask\.png is 5 x 4 px, its partner 4 x 4"):
        read_mask(tmp_path / "mask.png", (4, 4))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real pairs are not here")
@pytest.mark.parametrize(
    ("name", "count", "side"), [("levir_cd_256", 9, 256), ("dsifn_256", 10, 256)]
)
def test_real_pairs_are_a_folder(name: str, count: int, side: int) -> None:
    dataset = open_dataset(REAL / name)
    assert (dataset.name, len(dataset)) == ("folder", count)
    shares = [sample.truth().mean() for sample in dataset.samples]
    assert dataset.samples[0].pair().shape == (side, side)
    assert 0.01 < np.mean(shares) < 0.5
