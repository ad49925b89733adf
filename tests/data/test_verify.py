from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terradelta.data import verify
from terradelta.data.card import Published, alike
from terradelta.data.registry import IMAGES, PAIRS
from terradelta.errors import InputError, UsageError

FOLDER = {"before": "A", "after": "B", "label": "label"}
REAL = Path(__file__).parents[3] / "shared" / "data" / "pairs"


@pytest.fixture
def folder(tmp_path: Path, make: Any) -> Path:
    path: Path = make.split_pairs(tmp_path, FOLDER, {"": ["a.png", "b.png", "c.png"]})
    return path


def told(name: str, root: Path) -> list[str]:
    """The problems, with paths from ``root``; each is one line."""
    report = verify(name, root)
    assert report.ok == (not report.problems)
    lines = [str(problem) for problem in report.problems]
    assert all("\n" not in line for line in lines)
    return [line.replace(f"{root}/", "").replace(str(root), "") for line in lines]


def published(monkeypatch: pytest.MonkeyPatch, name: str, splits: dict[str, Published]) -> None:
    """As if the dataset had been published as small as its copy."""
    layouts: dict[str, Any] = PAIRS if name in PAIRS else IMAGES
    card = replace(layouts[name].card, splits=splits)
    monkeypatch.setitem(layouts, name, replace(layouts[name], card=card))


def test_a_whole_folder_is_well(folder: Path) -> None:
    report = verify("folder", folder)
    assert report.ok
    assert report.as_dict() == {
        "dataset": "folder",
        "root": str(folder),
        "ok": True,
        "found": {"all": 3},
        "published": {},
        "files": 9,
        "problems": [],
    }


@pytest.mark.parametrize("part", ["A", "B", "label"])
def test_a_truncated_file_is_named(folder: Path, make: Any, part: str) -> None:
    make.truncate(folder / part / "b.png")
    (line,) = told("folder", folder)
    assert line.startswith(f"{part}/b.png: cannot be read as an image: ")


def test_a_missing_partner_is_named(folder: Path) -> None:
    (folder / "B" / "c.png").unlink()
    (folder / "label" / "a.png").unlink()
    assert told("folder", folder) == [
        "label/a.png: missing; its partner A/a.png is there",
        "B/c.png: missing; its partner A/c.png is there",
    ]


def test_a_file_without_the_other_two_is_named(folder: Path, make: Any) -> None:
    make.save(folder / "label" / "d.tif", make.mask(1, 1, 4, 4))
    assert told("folder", folder) == [
        "A/d.tif: missing; its partner label/d.tif is there",
        "B/d.tif: missing; its partner label/d.tif is there",
    ]


def test_a_third_value_is_named(folder: Path, make: Any) -> None:
    truth = make.mask(2, 3, 8, 10)
    truth[0, 0] = 127
    make.save(folder / "label" / "a.png", truth)
    assert told("folder", folder) == [
        "label/a.png: not a mask of change: it holds 0, 127, 255, not 0 and one other value"
    ]


def test_sizes_that_differ_are_named(folder: Path, make: Any) -> None:
    make.save(folder / "label" / "a.png", make.mask(shape=(32, 30)))
    for part in FOLDER.values():
        make.save(folder / part / "b.png", make.mask(shape=(20, 24)))
    assert told("folder", folder) == [
        "label/a.png: is 30 x 32 px, its partner 32 x 32 px",
        "A/b.png: is 24 x 20 px, most pairs 32 x 32 px",
    ]


def test_every_problem_is_named_at_once(folder: Path, make: Any) -> None:
    make.truncate(folder / "A" / "a.png")
    (folder / "B" / "b.png").unlink()
    make.save(folder / "label" / "c.png", make.mask(2, 3, 8, 10, value=9, ground=3))
    files = [line.split(":")[0] for line in told("folder", folder)]
    assert files == ["A/a.png", "B/b.png", "label/c.png"]


def test_a_folder_that_is_gone_is_one_problem(folder: Path, make: Any) -> None:
    make.split_pairs(folder, FOLDER, {"train": ["a.png"], "val": ["a.png", "b.png"]})
    for part in FOLDER.values():
        for path in (folder / part).iterdir():
            path.unlink()
        (folder / part).rmdir()
    (folder / "val" / "label" / "a.png").unlink()
    (folder / "val" / "label" / "b.png").unlink()
    (line,) = told("folder", folder)
    assert line.startswith(": val cannot be listed: val/label holds no images")


def test_progress_goes_through_the_files(folder: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    verify("folder", folder, progress=lambda *step: steps.append(step))
    assert steps == [("files", k, 9) for k in range(9)]


@pytest.mark.parametrize("name", ["levir", "LEVIR-CD"])
def test_an_unknown_name_is_wrong_use(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"unknown dataset '{name}'"):
        verify(name, tmp_path)


def test_what_is_not_there_is_told_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"get it from https://xview2\.org"):
        verify("xview2", tmp_path)


def test_a_split_with_other_numbers_than_published_is_named(tmp_path: Path, make: Any) -> None:
    make.second(tmp_path, {"train": ["a", "b"], "test": []})
    lines = told("second", tmp_path)
    assert lines[:2] == [
        ": train has 2 samples, 2968 are published",
        ": test has 0 samples, 1694 are published",
    ]
    assert lines[2] == "train/im1/a.png: is 32 x 32 px, published are 512 x 512 px"
    assert len(lines) == 2 + 2 * 4


def files_of(root: Path) -> list[Path]:
    """Every file that is read of a dataset."""
    suffixes = (".png", ".tif", ".json")
    paths = [path for path in root.rglob("*.*") if path.suffix in suffixes]
    return sorted(path for path in paths if path.parent.name != "targets")


MADE: dict[str, tuple[Callable[[Any, Path], object], dict[str, Published]]] = {
    "levir-cd": (
        lambda make, root: make.split_pairs(
            root,
            FOLDER,
            {"train": ["train_1.png", "train_2.png"], "test": ["test_1.png", "test_2.png"]},
        ),
        alike(32, 32, train=2, test=2),
    ),
    "s2looking": (
        lambda make, root: make.split_pairs(
            root,
            {"before": "Image1", "after": "Image2", "label": "label"},
            {"train": ["1.png", "2.png"], "test": ["3.png", "4.png"]},
        ),
        alike(32, 32, train=2, test=2),
    ),
    "sysu-cd": (
        lambda make, root: make.split_pairs(
            root,
            {"before": "time1", "after": "time2", "label": "label"},
            {"test": ["00000.png", "00001.png"]},
        ),
        alike(32, 32, test=2),
    ),
    "dsifn": (
        lambda make, root: make.split_pairs(
            root, {"before": "t1", "after": "t2", "label": "mask"}, {"test": ["0.tif", "1.tif"]}
        ),
        alike(32, 32, test=2),
    ),
    "second": (
        lambda make, root: make.second(root, {"train": ["a", "b"], "test": ["b", "c"]}),
        alike(32, 32, train=2, test=2),
    ),
    "xview2": (
        lambda make, root: make.xview2(root, {"train": ["a_1", "a_2"], "hold": ["a_1", "a_2"]}),
        alike(32, 32, train=2, hold=2),
    ),
    "whu-cd": (lambda make, root: make.whu(root), alike(70, 100, all=1)),
    "whu-cd-add": (
        lambda make, root: (make.whu(root, (50, 90), "train"), make.whu(root, (50, 60), "test")),
        {"train": Published(1, (50, 90)), "test": Published(1, (50, 60))},
    ),
    "oscd": (
        lambda make, root: make.oscd(root, {"train": ["rio"], "test": ["bercy", "milano"]}),
        {"train": Published(1), "test": Published(2)},
    ),
    "openearthmap": (
        lambda make, root: make.openearthmap(root, {"train": ["a_1", "b_1"], "val": ["a_2"]}),
        {"train": Published(2), "val": Published(1)},
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_a_whole_dataset_is_well_and_every_truncated_file_is_named(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    maker, splits = MADE[name]
    maker(make, tmp_path)
    published(monkeypatch, name, splits)
    report = verify(name, tmp_path)
    assert [str(problem) for problem in report.problems] == []
    assert report.found == report.published == {split: p.count for split, p in splits.items()}
    read = files_of(tmp_path)
    assert report.files == len(read)
    for path in read:
        make.truncate(path)
    assert sorted(problem.file for problem in verify(name, tmp_path).problems) == read


@pytest.mark.parametrize("name", MADE)
def test_every_missing_file_is_named(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    maker, splits = MADE[name]
    maker(make, tmp_path)
    published(monkeypatch, name, splits)
    paths = files_of(tmp_path)
    for path in paths[:: 1 + len(paths) // 12]:
        content = path.read_bytes()
        path.unlink()
        (problem,) = verify(name, tmp_path).problems
        assert problem.what.startswith("missing") and problem.file == path  # noqa: PT018
        path.write_bytes(content)


def test_a_town_without_its_mask_is_missing(tmp_path: Path, make: Any) -> None:
    make.oscd(tmp_path, {"train": ["rio"], "test": ["bercy"]})
    mask = next(tmp_path.glob("*Test*")) / "bercy" / "cm" / "cm.png"
    mask.unlink()
    assert mask in [problem.file for problem in verify("oscd", tmp_path).problems]
    mask.parent.rmdir()
    mask.parent.parent.rmdir()
    assert ": test has 0 samples, 10 are published" in told("oscd", tmp_path)


def test_a_colour_and_a_code_that_are_no_class_are_named(tmp_path: Path, make: Any) -> None:
    make.second(tmp_path / "second", {"train": ["a"], "test": []})
    make.save(tmp_path / "second" / "train" / "label2" / "a.png", make.picture())
    lines = told("second", tmp_path / "second")
    assert any("label2/a.png: holds colours that stand for no class" in line for line in lines)
    make.openearthmap(tmp_path / "oem", {"train": ["a_1"], "val": ["a_2"]})
    make.save(tmp_path / "oem" / "a" / "labels" / "a_2.tif", np.full((20, 30), 200, np.uint8))
    lines = told("openearthmap", tmp_path / "oem")
    assert "a/labels/a_2.tif: holds 200, which are no classes (0 to 8)" in lines


def test_a_label_file_of_xbd_that_is_damaged_or_of_another_image_is_named(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.xview2(tmp_path, {"train": ["a_1", "a_2"]})
    published(monkeypatch, "xview2", alike(32, 32, train=2))
    labels = tmp_path / "train" / "labels"
    (labels / "a_1_post_disaster.json").write_text('{"features": {"xy": [{}]}}')
    make.polygons(labels / "a_2_pre_disaster.json", side=64)
    first, second = told("xview2", tmp_path)
    assert first.startswith("train/labels/a_1_post_disaster.json: is no label of xBD")
    assert second == "train/labels/a_2_pre_disaster.json: is 64 x 64 px, published are 32 x 32 px"


def test_images_of_xbd_that_openearthmap_lacks_are_counted(
    tmp_path: Path, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.openearthmap(tmp_path, {"train": ["a_1", "b_1"], "val": ["a_2"]})
    published(monkeypatch, "openearthmap", {"train": Published(2), "val": Published(1)})
    (tmp_path / "xbd_files.csv").write_text("x_pre_disaster.png,b_1.tif\n")
    (tmp_path / "b" / "images" / "b_1.tif").unlink()
    assert told("openearthmap", tmp_path) == [": train has 1 samples, 2 are published"]


@pytest.mark.skipif(not REAL.is_dir(), reason="the real pairs are not here")
@pytest.mark.parametrize("name", ["levir_cd_256", "dsifn_256", "xbd_joplin"])
def test_real_pairs_are_well(name: str) -> None:
    assert verify("folder", REAL / name).ok
