from pathlib import Path
from typing import Any

import pytest

from terradelta.data import open_dataset

ROLES = {"before": "A", "after": "B", "label": "label"}
NAMES = {"train": ["train_1.png", "train_12.png"], "val": ["val_3.png"], "test": ["test_2.png"]}


def test_archives_side_by_side_are_splits(tmp_path: Path, make: Any) -> None:
    make.split_pairs(tmp_path, ROLES, NAMES)
    dataset = open_dataset(tmp_path)
    assert (dataset.name, dataset.split) == ("levir-cd", "test")
    (sample,) = dataset.samples
    assert sample.name == "test_2"
    assert (sample.pair().before == make.picture(seed=0)).all()
    assert (sample.truth() == (make.mask(2, 3, 8, 10) > 0)).all()
    assert [s.name for s in open_dataset(tmp_path, split="train").samples] == [
        "train_1",
        "train_12",
    ]


def test_archives_in_one_folder_keep_their_splits_by_name(tmp_path: Path, make: Any) -> None:
    make.split_pairs(tmp_path, ROLES, {"": [name for names in NAMES.values() for name in names]})
    for split, names in NAMES.items():
        dataset = open_dataset(tmp_path, split=split)
        assert (dataset.name, dataset.split) == ("levir-cd", split)
        assert [sample.name for sample in dataset.samples] == [
            Path(name).stem for name in sorted(names)
        ]
    assert len(open_dataset(tmp_path, split="all")) == 4


@pytest.mark.parametrize(
    "names",
    [
        {"": ["test_2_0000_0512.png"]},
        {"": ["1.png", "train_1.png"]},
        {"train": ["train_1.png"], "test": ["train_638.png"]},
    ],
    ids=["cut into squares", "another name", "LEVIR-CD+"],
)
def test_what_is_named_otherwise_is_any_folder(
    tmp_path: Path, make: Any, names: dict[str, list[str]]
) -> None:
    make.split_pairs(tmp_path, ROLES, names)
    assert open_dataset(tmp_path, split="all").name == "folder"
