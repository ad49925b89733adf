from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terradelta.data import DATASETS, open_dataset
from terradelta.errors import InputError

CLASSES = DATASETS["second"].classes


@pytest.fixture
def root(tmp_path: Path, make: Any) -> Path:
    path: Path = make.second(tmp_path, {"train": ["00003", "00017"], "test": ["00001"]})
    return path


def test_splits_and_images(root: Path, make: Any) -> None:
    dataset = open_dataset(root)
    assert (dataset.name, dataset.split, len(dataset)) == ("second", "test", 1)
    train = open_dataset(root, split="train")
    assert [sample.name for sample in train.samples] == ["00003", "00017"]
    pair = train.samples[1].pair()
    assert (pair.before == make.picture(seed=2)).all()
    assert (pair.after == make.picture(seed=3)).all()


def test_land_cover_is_known_from_what_to_what(root: Path) -> None:
    (sample,) = open_dataset(root).samples
    assert sample.classes is not None
    before, after = sample.classes()
    assert (before.dtype, before.shape) == (np.uint8, (32, 32))
    changes = {
        (CLASSES[a], CLASSES[b]): int(count)
        for (a, b), count in zip(
            *np.unique(np.stack([before, after], -1).reshape(-1, 2), axis=0, return_counts=True),
            strict=True,
        )
    }
    assert changes == {
        ("unchanged", "unchanged"): 1024 - 25,
        ("water", "building"): 24,
        ("low vegetation", "playground"): 1,
    }
    assert (before[10:14, 4:10] == CLASSES.index("water")).all()


def test_change_is_where_either_date_has_a_class(root: Path, make: Any) -> None:
    (sample,) = open_dataset(root).samples
    expected = make.mask(4, 10, 10, 14) > 0
    expected[31, 31] = True
    assert (sample.truth() == expected).all()
    only_before = np.full((32, 32, 3), 255, np.uint8)
    only_before[0, 3] = (128, 128, 128)
    make.save(root / "test" / "label1" / "00001.png", only_before)
    expected[0, 3] = True
    assert (sample.truth() == expected).all()


def test_crops_of_256_have_crops_of_the_classes(root: Path) -> None:
    (whole,) = open_dataset(root).samples
    crop = open_dataset(root, crop=16).samples[0]
    assert whole.classes is not None
    assert crop.classes is not None
    for part, all_of_it in zip(crop.classes(), whole.classes(), strict=True):
        assert (part == all_of_it[:16, :16]).all()
    assert crop.truth().sum() == 24


def test_a_colour_that_is_no_class_is_refused(root: Path, make: Any) -> None:
    black = np.zeros((32, 32, 3), np.uint8)
    make.save(root / "test" / "label2" / "00001.png", black)
    (sample,) = open_dataset(root).samples
    with pytest.raises(InputError, match=r"label2\S+00001\.png: holds colours .*: \(0, 0, 0\)$"):
        sample.truth()
