from pathlib import Path
from typing import Any

import pytest

from terradelta.data.layout import check_complete, images_of, partners, split_files, split_folders
from terradelta.errors import InputError

ROLES = {"before": "A", "after": "B", "label": "label"}


def test_files_are_listed_though_some_are_missing(tmp_path: Path, make: Any) -> None:
    make.split_pairs(tmp_path, ROLES, {"": ["b.png", "a.png"]})
    (tmp_path / "label" / "b.png").unlink()
    make.save(tmp_path / "B" / "c.tif", make.picture())
    files = partners({role: tmp_path / folder for role, folder in ROLES.items()})
    assert [each.name for each in files] == ["a", "b", "c"]
    assert [each.missing for each in files] == [set(), {"label"}, {"before", "label"}]
    assert files[1].paths["label"] == tmp_path / "label" / "b.png"
    assert files[2].paths["before"] == tmp_path / "A" / "c.tif"
    assert list(files[2].paths) == list(ROLES)


def test_the_first_gap_is_told_with_its_folder(tmp_path: Path, make: Any) -> None:
    make.split_pairs(tmp_path, ROLES, {"": ["a.png", "b.png", "c.png"]})
    folders = {role: tmp_path / folder for role, folder in ROLES.items()}
    check_complete(partners(folders))
    check_complete([])
    (tmp_path / "B" / "b.png").unlink()
    (tmp_path / "B" / "c.png").unlink()
    with pytest.raises(InputError, match=r"B lacks 2 of 3 images, the first is 'b': names must"):
        check_complete(partners(folders))


def test_a_dataset_is_known_by_one_whole_split(tmp_path: Path, make: Any) -> None:
    assert split_folders(tmp_path, ROLES) == ()
    (tmp_path / "test" / "A").mkdir(parents=True)
    assert split_folders(tmp_path, ROLES) == ()
    make.split_pairs(tmp_path, ROLES, {"train": ["a.png"], "extra": ["a.png"]})
    assert split_folders(tmp_path, ROLES) == ("train", "test")
    assert [files.name for files in split_files(tmp_path, "train", ROLES)] == ["a"]
    with pytest.raises(InputError, match=r"test/A holds no images"):
        split_files(tmp_path, "test", ROLES)


def test_images_are_told_by_their_suffix(tmp_path: Path, make: Any) -> None:
    for name in ("a.png", "b.JPG", "c.tif", ".d.png"):
        make.save(tmp_path / name, make.picture())
    (tmp_path / "notes.txt").write_text("a note")
    (tmp_path / "e.png.aux.xml").write_text("<PAMDataset/>")
    assert list(images_of(tmp_path)) == ["a", "b", "c"]
    with pytest.raises(InputError, match=r"absent is not a folder"):
        images_of(tmp_path / "absent")
