from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from terradelta.data import open_dataset
from terradelta.errors import InputError


def test_the_scene_is_cut_into_windows_of_512(tmp_path: Path, make: Any) -> None:
    make.whu(tmp_path, (600, 1100))
    dataset = open_dataset(tmp_path)
    assert (dataset.name, dataset.split) == ("whu-cd", "all")
    assert [sample.pair().shape for sample in dataset.samples] == [
        (512, 512), (512, 512), (512, 76), (88, 512), (88, 512), (88, 76),
    ]  # fmt: skip
    assert dataset.samples[-1].name == "scene_00512_01024"


def test_windows_are_parts_of_the_scene_to_its_last_corner(tmp_path: Path, make: Any) -> None:
    make.whu(tmp_path)
    samples = open_dataset(tmp_path, crop=40).samples
    assert len(samples) == 2 * 3
    before, after = make.picture((70, 100), 1), make.picture((70, 100), 2)
    last = samples[-1]
    assert (last.pair().before == before[40:70, 80:100]).all()
    assert (last.pair().after == after[40:70, 80:100]).all()
    assert np.argwhere(last.truth()).tolist() == [
        [y, x] for y in (27, 28, 29) for x in range(16, 20)
    ]
    assert [sample.truth().sum() for sample in samples] == [0, 0, 0, 0, 0, 12]
    rows = [np.hstack([sample.pair().before for sample in samples[k : k + 3]]) for k in (0, 3)]
    assert (np.vstack(rows) == before).all()


def test_a_window_knows_where_it_lies(tmp_path: Path, make: Any) -> None:
    make.whu(tmp_path)
    pair = open_dataset(tmp_path, crop=40).samples[-1].pair()
    assert pair.georeference is not None
    assert pair.georeference.crs.to_epsg() == 32760
    assert pair.georeference.transform.c == make.grid.c + 0.5 * 80
    assert pair.georeference.transform.f == make.grid.f - 0.5 * 40
    assert pair.sources == (
        tmp_path / "before" / "before.tif",
        tmp_path / "after" / "after.tif",
    )


def test_the_scene_may_have_its_true_size(tmp_path: Path, make: Any) -> None:
    """Most blocks are not written and read as 0; 64 x 30 windows are the 1,920 of ChangeCLIP."""
    truth = make.mask(200, 500, 251, 506, shape=(506, 251))
    last = Window(63 * 512, 29 * 512, 251, 506)
    for number, path in enumerate(("before/before", "after/after", "change label/change_label")):
        (tmp_path / path).parent.mkdir()
        count = 1 if "label" in path else 3
        profile = {"driver": "GTiff", "dtype": "uint8", "count": count, "tiled": True}
        profile |= {"crs": "EPSG:32760", "transform": make.grid}
        size = {"width": 32507, "height": 15354, "compress": "deflate", "sparse_ok": True}
        with rasterio.open(tmp_path / f"{path}.tif", "w", **profile, **size) as scene:
            corner = make.picture((506, 251), number) if count == 3 else truth[..., None]
            scene.write(np.moveaxis(corner, -1, 0), window=last)
    samples = open_dataset(tmp_path).samples
    assert len(samples) == 1920
    pair = samples[-1].pair()
    assert pair.shape == (506, 251)
    assert (pair.before == make.picture((506, 251), 0)).all()
    assert (pair.after == make.picture((506, 251), 1)).all()
    assert (samples[-1].truth() == (truth > 0)).all()
    assert not samples[0].truth().any()


def test_both_parts_are_splits(tmp_path: Path, make: Any) -> None:
    root = tmp_path / "Building change detection dataset_add" / "1. The two-period image data"
    make.whu(root, (50, 90), "train")
    make.whu(root, (50, 60), "test")
    dataset = open_dataset(tmp_path, crop=50)
    assert (dataset.name, dataset.split, dataset.root) == ("whu-cd-add", "test", root)
    assert [sample.name for sample in dataset.samples] == ["test_00000_00000", "test_00000_00050"]
    assert dataset.samples[1].pair().shape == (50, 10)
    assert sum(sample.truth().sum() for sample in dataset.samples) == 12
    assert len(open_dataset(tmp_path, split="all", crop=50)) == 4


def test_shares_are_of_the_windows(tmp_path: Path, make: Any) -> None:
    make.whu(tmp_path)
    everything = open_dataset(tmp_path, crop=10).samples
    fifth = open_dataset(tmp_path, crop=10, share=0.2).samples
    half = open_dataset(tmp_path, crop=10, share=0.5).samples
    assert (len(everything), len(half), len(fifth)) == (70, 35, 14)
    names = [{sample.name for sample in samples} for samples in (fifth, half, everything)]
    assert names[0] < names[1] < names[2]


def test_scenes_of_two_sizes_are_refused(tmp_path: Path, make: Any) -> None:
    make.whu(tmp_path)
    make.save(tmp_path / "after" / "after.tif", make.picture((70, 90)))
    with pytest.raises(InputError, match=r"after\.tif is 90 x 70 px: it has no pixels"):
        open_dataset(tmp_path, crop=40).samples[-1].pair()


def test_a_third_value_in_a_window_is_refused(tmp_path: Path, make: Any) -> None:
    make.whu(tmp_path)
    label = make.mask(10, 10, 20, 20, shape=(70, 100))
    label[69, 99] = 9
    label[69, 98] = 255
    make.save(tmp_path / "change label" / "change_label.tif", label)
    first, *_, last = open_dataset(tmp_path, crop=40).samples
    assert first.truth().sum() == 100
    with pytest.raises(InputError, match=r"change_label\.tif: not a mask of change: .* 0, 9, 255"):
        last.truth()


def test_a_missing_scene_is_named(tmp_path: Path, make: Any) -> None:
    make.whu(tmp_path)
    (tmp_path / "after" / "after.tif").unlink()
    with pytest.raises(InputError, match=r"after lacks 1 of 1 images, the first is 'scene'"):
        open_dataset(tmp_path)
