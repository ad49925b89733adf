from pathlib import Path

import numpy as np
import pytest

from terradelta.errors import InputError
from terradelta.run.parts import Part, load_part, no_candidates, part_name, save_part
from terradelta.sam.masks import Masks
from terradelta.zeroshot.candidates import Candidates


def some_part(count: int) -> Part:
    random = np.random.default_rng(count)
    dense = random.random((count, 40, 52)) > 0.6
    if count > 2:
        dense[1] = False
        dense[2] = True
    values = random.random((3, count)).astype(np.float32)
    nothing = np.zeros((count, 0))
    found = Candidates(
        Masks.from_dense(dense),
        values[0],
        values[1],
        random.integers(0, 2, count).astype(np.int8),
        values[2] * 90,
        nothing,
        nothing,
    )
    return Part((-3, 17), found, random.random((40, 52)) > 0.1)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_part_comes_back_exactly(tmp_path: Path, count: int) -> None:
    part = some_part(count)
    size = save_part(part, tmp_path)
    assert (tmp_path / part_name(part.key)).stat().st_size == size
    again = load_part(part.key, tmp_path)
    np.testing.assert_array_equal(again.valid, part.valid)
    np.testing.assert_array_equal(again.candidates.masks.dense(), part.candidates.masks.dense())
    for name in ("iou", "stability", "date", "angle"):
        before, after = getattr(part.candidates, name), getattr(again.candidates, name)
        assert before.dtype == after.dtype
        np.testing.assert_array_equal(before, after)


def test_a_part_without_candidates_comes_back(tmp_path: Path) -> None:
    part = Part((0, 0), no_candidates((7, 9)), np.zeros((7, 9), bool))
    save_part(part, tmp_path)
    again = load_part((0, 0), tmp_path)
    assert len(again.candidates.masks) == 0
    assert again.valid.shape == (7, 9)


def test_the_same_part_is_the_same_bytes(tmp_path: Path) -> None:
    save_part(some_part(5), tmp_path)
    first = (tmp_path / "-3_17.npz").read_bytes()
    save_part(some_part(5), tmp_path)
    assert (tmp_path / "-3_17.npz").read_bytes() == first


@pytest.mark.parametrize("keep", [0, 100, -40])
def test_a_damaged_part_is_named(tmp_path: Path, keep: int) -> None:
    save_part(some_part(5), tmp_path)
    path = tmp_path / "-3_17.npz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged"):
        load_part((-3, 17), tmp_path)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"4_4\.npz"):
        load_part((4, 4), tmp_path)


def test_no_candidates_have_all_columns() -> None:
    nothing = no_candidates((7, 9))
    assert nothing.masks.shape == (7, 9)
    columns = (nothing.iou, nothing.stability, nothing.date, nothing.angle, nothing.before)
    assert [len(column) for column in (nothing.masks, *columns)] == [0] * 6
    assert nothing.date.dtype == np.int8


def test_the_probability_of_a_detector_comes_back_exactly(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    probability = random.integers(0, 65536, (40, 52)).astype(np.uint16)
    part = Part((2, 3), no_candidates((40, 52)), random.random((40, 52)) > 0.1, probability)
    save_part(part, tmp_path)
    again = load_part((2, 3), tmp_path)
    np.testing.assert_array_equal(again.probability, probability)
    assert again.probability.dtype == np.uint16
    save_part(some_part(2), tmp_path)
    assert load_part((-3, 17), tmp_path).probability.size == 0
