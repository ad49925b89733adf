from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terradelta.data import open_dataset
from terradelta.errors import InputError

TOWNS = {"train": ["bercy", "abudhabi"], "test": ["rio"]}


@pytest.mark.parametrize("style", ["onera", "dataport"])
def test_towns_are_listed_by_the_split_of_their_labels(
    tmp_path: Path, make: Any, style: str
) -> None:
    make.oscd(tmp_path, TOWNS, style)
    dataset = open_dataset(tmp_path)
    assert (dataset.name, dataset.split) == ("oscd", "test")
    assert [sample.name for sample in dataset.samples] == ["rio"]
    train = open_dataset(tmp_path, split="train")
    assert [sample.name for sample in train.samples] == ["abudhabi", "bercy"]


def test_a_pair_shows_red_green_and_blue_under_one_stretch(tmp_path: Path, make: Any) -> None:
    """B04 of the dates is 1300 and 2300 plus the column: the 1st and 99th percentile of both together
    are 1300 and 2319, so columns 0 and 19 become 0 and 5 before, 250 and 255 after."""
    make.oscd(tmp_path, TOWNS)
    pair = open_dataset(tmp_path).samples[0].pair()
    assert pair.shape == (24, 20)
    for date, first, last in ((pair.before, 0, 5), (pair.after, 250, 255)):
        assert (date == date[:1]).all()
        assert date[0, 0].tolist() == [first] * 3
        assert date[0, 19].tolist() == [last] * 3
    assert pair.bands == ((4, 3, 2), (4, 3, 2))
    assert [Path(source).name for source in pair.sources] == ["imgs_1_rect", "imgs_2_rect"]


def test_the_bands_are_those_of_the_colours(tmp_path: Path, make: Any) -> None:
    make.oscd(tmp_path, {"train": ["bercy"], "test": ["rio"]})
    images = next(tmp_path.glob("*Images")) / "rio" / "imgs_1_rect"
    for band, row in (("B04", 3), ("B03", 7), ("B02", 11)):
        pixels = np.full((24, 20), 1300, np.uint16)
        pixels[row] = 9000
        make.save(images / f"{band}.tif", pixels)
    before = open_dataset(tmp_path).samples[0].pair().before
    for channel, row in enumerate((3, 7, 11)):
        assert before[row, 0, channel] == 255
        assert before[row].min(0).argmax() == channel


def test_a_crop_has_the_stretch_of_the_town(tmp_path: Path, make: Any) -> None:
    make.oscd(tmp_path, TOWNS)
    (whole,) = open_dataset(tmp_path).samples
    crops = open_dataset(tmp_path, crop=16).samples
    assert len(crops) == 4
    assert (crops[1].pair().after == whole.pair().after[:16, 16:]).all()
    assert (crops[0].truth() == whole.truth()[:16, :16]).all()


def test_the_truth_is_the_mask_of_the_town(tmp_path: Path, make: Any) -> None:
    make.oscd(tmp_path, TOWNS)
    truth = open_dataset(tmp_path).samples[0].truth()
    assert (truth == (make.mask(3, 4, 9, 9, shape=(24, 20)) > 0)).all()


def test_a_missing_band_is_named(tmp_path: Path, make: Any) -> None:
    make.oscd(tmp_path, TOWNS)
    (next(tmp_path.glob("*Images")) / "rio" / "imgs_2_rect" / "B8A.tif").unlink()
    with pytest.raises(InputError, match=r"imgs_2_rect lacks 1 of 1 images, the first is 'rio'"):
        open_dataset(tmp_path)


def test_bands_of_two_sizes_are_refused(tmp_path: Path, make: Any) -> None:
    make.oscd(tmp_path, TOWNS)
    path = next(tmp_path.glob("*Images")) / "rio" / "imgs_2_rect" / "B03.tif"
    make.save(path, np.ones((12, 10), np.uint16))
    with pytest.raises(InputError, match=r"B03\.tif and \S.*B04\.tif differ in size or type"):
        open_dataset(tmp_path).samples[0].pair()
