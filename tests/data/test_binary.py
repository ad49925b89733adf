from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terradelta.data import DATASETS, open_dataset
from terradelta.errors import InputError

ROLES = {
    "s2looking": ("Image1", "Image2", "label"),
    "sysu-cd": ("time1", "time2", "label"),
    "clcd": ("time1", "time2", "label"),
    "dsifn": ("t1", "t2", "mask"),
}
SIDE = {"s2looking": 32, "sysu-cd": 256, "clcd": 512, "dsifn": 32}


def published(root: Path, make: Any, name: str) -> Path:
    roles = dict(zip(("before", "after", "label"), ROLES[name], strict=True))
    shape = (SIDE[name], SIDE[name])
    files = {
        "train": ["00000.png", "00001.png", "00002.png"],
        "val": ["00000.png"],
        "test": ["00000.png"],
    }
    path: Path = make.split_pairs(
        root, roles, files, lambda _: make.mask(5, 6, 20, 16, shape=shape), shape
    )
    return path


@pytest.mark.parametrize("name", ROLES)
def test_each_is_recognised_and_read(tmp_path: Path, make: Any, name: str) -> None:
    published(tmp_path, make, name)
    for split in DATASETS[name].splits:
        dataset = open_dataset(tmp_path, split=split)
        assert (dataset.name, dataset.split) == (name, split)
        assert len(dataset) == (3 if split == "train" else 1)
        sample = dataset.samples[-1]
        pair, truth = sample.pair(), sample.truth()
        number = len(dataset) - 1
        assert (pair.before == make.picture(pair.shape, 2 * number)).all()
        assert (pair.after == make.picture(pair.shape, 2 * number + 1)).all()
        assert np.argwhere(truth).min(0).tolist() == [6, 5]
        assert truth.sum() == 15 * 10


def test_the_labels_of_dsifn_are_0_and_1_in_the_test_split(tmp_path: Path, make: Any) -> None:
    roles = {"before": "t1", "after": "t2", "label": "mask"}
    make.split_pairs(tmp_path, roles, {"train": ["0.png"], "test": ["0.png"]})
    for date, image in (("t1", 0), ("t2", 1)):
        (tmp_path / "test" / date / "0.png").unlink()
        make.save(tmp_path / "test" / date / "0.jpg", make.picture(seed=image))
    (tmp_path / "test" / "mask" / "0.png").unlink()
    make.save(tmp_path / "test" / "mask" / "0.tif", make.mask(2, 3, 8, 10, value=1))
    (sample,) = open_dataset(tmp_path).samples
    assert sample.pair().shape == (32, 32)
    assert (sample.truth() == (make.mask(2, 3, 8, 10) > 0)).all()


def test_a_label_with_a_third_value_is_not_read(tmp_path: Path, make: Any) -> None:
    published(tmp_path, make, "s2looking")
    grades = make.mask(5, 6, 20, 16)
    grades[0, 0] = 76
    make.save(tmp_path / "test" / "label" / "00000.png", grades)
    (sample,) = open_dataset(tmp_path).samples
    with pytest.raises(InputError, match=r"00000\.png: not a mask of change: it holds 0, 76, 255"):
        sample.truth()


def test_sysu_and_clcd_are_told_apart_by_their_size_or_by_name(tmp_path: Path, make: Any) -> None:
    roles = dict(zip(("before", "after", "label"), ROLES["clcd"], strict=True))
    make.split_pairs(tmp_path, roles, {"test": ["00000.png"]})
    with pytest.raises(InputError, match="no dataset"):
        open_dataset(tmp_path)
    for name in ("sysu-cd", "clcd"):
        assert open_dataset(tmp_path, name).name == name


@pytest.mark.parametrize("name", ROLES)
def test_the_shares_of_a_split_are_nested(tmp_path: Path, make: Any, name: str) -> None:
    published(tmp_path, make, name)
    held: set[str] = set()
    for share in (1 / 3, 2 / 3, 1):
        samples = open_dataset(tmp_path, split="train", share=share).samples
        assert len(samples) == round(3 * share)
        assert held < {sample.name for sample in samples}
        held = {sample.name for sample in samples}
