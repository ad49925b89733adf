from pathlib import Path

import numpy as np
import pytest

from terradelta.engine.pairs import UNLABELLED, open_unlabelled
from terradelta.errors import InputError

from .made import images_of, squares, write_pairs


def test_a_folder_with_a_and_b_alone_has_pairs_and_no_truth(tmp_path: Path) -> None:
    dataset = open_unlabelled(write_pairs(tmp_path, {"one": 1, "two": 2}, labelled=False))
    assert dataset.name == UNLABELLED
    assert [sample.name for sample in dataset.samples] == ["one", "two"]
    assert (dataset.samples[1].pair().after == images_of(1, 2)[1]).all()
    with pytest.raises(InputError, match="one has no label"):
        dataset.samples[0].truth()


def test_it_can_be_cut_into_squares(tmp_path: Path) -> None:
    write_pairs(tmp_path, {"one": 1}, labelled=False)
    dataset = open_unlabelled(tmp_path, crop=40)
    assert [sample.name for sample in dataset.samples] == [
        "one_00000_00000", "one_00000_00040", "one_00040_00000", "one_00040_00040",
    ]  # fmt: skip
    assert dataset.samples[1].pair().shape == (40, 24)
    assert (dataset.samples[2].pair().before == images_of(0, 1)[0][40:, :40]).all()


def test_of_a_dataset_the_split_for_training_is_taken(tmp_path: Path) -> None:
    for split, name in (("train", "one"), ("val", "two")):
        write_pairs(tmp_path / split, {name: 1})
    assert [sample.name for sample in open_unlabelled(tmp_path).samples] == ["one"]
    assert [sample.name for sample in open_unlabelled(tmp_path, split="val").samples] == ["two"]
    whole = open_unlabelled(tmp_path / "train")
    assert whole.split == "all"
    assert (np.asarray(whole.samples[0].truth()) == squares(1)).all()


def test_a_pair_that_lacks_a_date_is_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, {"one": 1, "two": 1}, labelled=False)
    (tmp_path / "B" / "two.png").unlink()
    with pytest.raises(InputError, match="the first is 'two'"):
        open_unlabelled(tmp_path)
