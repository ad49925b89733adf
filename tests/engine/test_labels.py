import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import Affine

from terradelta.engine.labels import Label, LabelFolder, file_of, names_in, read_label
from terradelta.errors import InputError, UsageError
from terradelta.geo.pair import load_pair
from terradelta.geo.reader import Georeference, read_raster
from terradelta.train import open_pairs

from .made import images_of, pair_of, squares


@pytest.fixture
def label() -> Label:
    """Two squares; the first four rows are unknown, the lower right pixel has no image."""
    before, after = images_of(0, 2)
    opaque = np.full((64, 64), 255, np.uint8)
    opaque[63, 63] = 0
    pair = load_pair(np.dstack([before, opaque]), after)
    known = np.ones((64, 64), bool)
    known[:4] = False
    chance = np.where(squares(2), np.float32(0.75), np.float32(0.25))
    return Label(pair, squares(2), known, chance, {"mode": "made"})


def test_a_label_comes_back_as_it_was(label: Label, tmp_path: Path) -> None:
    LabelFolder(tmp_path, {}).write("one", label)
    read = read_label(tmp_path, "one")
    known = label.known & label.pair.valid
    assert (read.pair.before == label.pair.before).all()
    assert (read.pair.after == label.pair.after).all()
    assert (read.pair.valid == label.pair.valid).all()
    assert (read.changed == label.changed).all()
    assert (read.known == known).all()
    assert read.chance is not None
    assert (read.chance[known] == label.chance[known]).all()  # type: ignore[index]
    assert np.isnan(read.chance[~known]).all()
    assert read.facts["mode"] == "made"


def test_what_is_unknown_is_transparent_in_the_label_and_left_out_of_training(
    label: Label, tmp_path: Path
) -> None:
    LabelFolder(tmp_path, {}).write("one", label)
    with Image.open(tmp_path / "label" / "one.png") as image:
        assert image.mode == "LA"
    assert not read_raster(tmp_path / "label" / "one.png").valid[:4].any()
    soft = open_pairs(tmp_path, "train", soft=True)[0][2]
    assert (soft[:4] == 255).all()
    assert soft[63, 63] == 255
    assert set(np.unique(soft[4:-1])) == {0.25, 0.75}


def test_a_whole_label_is_a_plain_mask(tmp_path: Path) -> None:
    whole = np.ones((64, 64), bool)
    LabelFolder(tmp_path, {}).write("one", Label(pair_of(), squares(2), whole, None, {}))
    with Image.open(tmp_path / "label" / "one.png") as image:
        assert image.mode == "L"
        assert set(np.unique(np.asarray(image))) == {0, 255}
    assert not (tmp_path / "soft").exists()


def test_provenance_counts_pixels(label: Label, tmp_path: Path) -> None:
    LabelFolder(tmp_path, {}).write("one", label)
    told = json.loads((tmp_path / "provenance" / "one.json").read_text())
    assert told["size_px"] == [64, 64]
    assert told["valid_px"] == 64 * 64 - 1
    assert told["known_px"] == 60 * 64 - 1
    assert told["changed_px"] == 2 * 12 * 12
    assert told["changed_fraction"] == pytest.approx(288 / 4095, abs=1e-6)
    assert told["name"] == "one"
    assert told["terradelta"]


def test_soft_labels_lie_where_their_pair_does(label: Label, tmp_path: Path) -> None:
    transform = Affine(2, 0, 500_000, 0, -2, 5_000_000)
    place = Georeference(CRS.from_epsg(32631), transform)
    placed = replace(label, pair=replace(label.pair, georeference=place))
    LabelFolder(tmp_path, {}).write("one", placed)
    with rasterio.open(tmp_path / "soft" / "one.tif") as source:
        assert source.transform == transform
        assert source.crs == place.crs


def test_the_summary_pools_pixels(label: Label, tmp_path: Path) -> None:
    folder = LabelFolder(tmp_path, {})
    folder.write("one", label)
    folder.write("none", replace(label, changed=np.zeros((64, 64), bool)))
    folder.drop("two", "too much change", {"mode": "made"})
    told = folder.finish(["one", "none", "two", "three"], {"three": "unreadable"})
    assert told["pairs"] == 4
    assert told["labelled"] == 2
    assert told["without_change"] == 1
    assert told["changed_fraction"] == pytest.approx(288 / (2 * 3839), abs=1e-6)
    assert told["known_fraction"] == pytest.approx(3839 / 4095, abs=1e-6)
    assert told["dropped"] == {"too much change": 1}
    assert told["failed"] == {"three": "unreadable"}
    assert json.loads((tmp_path / "labels.json").read_text())["summary"] == told
    assert names_in(tmp_path) == ["none", "one"]


def test_only_the_same_goes_on_in_a_folder(label: Label, tmp_path: Path) -> None:
    out = tmp_path / "out"
    LabelFolder(out, {"angle": 20, "clicks": ("a",)}).write("one", label)
    assert LabelFolder(out, {"angle": 20, "clicks": ["a"]}).is_settled("one")
    with pytest.raises(UsageError, match="angle was 20, is 25"):
        LabelFolder(out, {"angle": 25, "clicks": ["a"]})
    foreign = tmp_path / "foreign" / "label"
    foreign.mkdir(parents=True)
    with pytest.raises(UsageError, match="not labels of terradelta"):
        LabelFolder(foreign.parent, {})
    with pytest.raises(InputError, match="holds no labels of terradelta"):
        names_in(foreign.parent)


def test_what_a_killed_run_was_writing_is_removed(label: Label, tmp_path: Path) -> None:
    LabelFolder(tmp_path, {}).write("one", label)
    leftover = tmp_path / "A" / ".two.123.png"
    leftover.write_bytes(b"half")
    assert not LabelFolder(tmp_path, {}).is_settled("two")
    assert not leftover.exists()


@pytest.mark.parametrize("name", ["../one", "a/b", "..", ".one"])
def test_a_name_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be the name of a file"):
        file_of(tmp_path, "label", name)


def test_damaged_files_are_named(label: Label, tmp_path: Path) -> None:
    LabelFolder(tmp_path, {}).write("one", label)
    (tmp_path / "provenance" / "one.json").write_text("{")
    with pytest.raises(InputError, match=r"one\.json cannot be read"):
        read_label(tmp_path, "one")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "label" / "one.png")
    with pytest.raises(InputError, match="differ in size"):
        read_label(tmp_path, "one")
