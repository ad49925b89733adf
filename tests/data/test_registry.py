import pickle
from pathlib import Path
from typing import Any

import pytest

from terradelta.data import DATASETS, open_dataset, open_images
from terradelta.data.registry import IMAGES, PAIRS
from terradelta.errors import InputError, UsageError

FOLDER = {"before": "A", "after": "B", "label": "label"}


def test_the_published_numbers_add_up_to_those_of_the_papers() -> None:
    totals = {
        name: sum(split.count for split in card.splits.values()) for name, card in DATASETS.items()
    }
    assert totals == {
        "levir-cd": 637,
        "s2looking": 5000,
        "xview2": 22068 // 2,
        "second": 4662,
        "whu-cd": 1,
        "whu-cd-add": 2,
        "sysu-cd": 20000,
        "dsifn": 3940 + 48,
        "oscd": 24,
        "clcd": 600,
        "folder": 0,
        "openearthmap": 5000 - 1500,
    }


def test_the_crops_are_those_of_the_papers() -> None:
    """AnyChange, appendix C.1; ChangeAnywhere and ChangeCLIP, section 4."""
    crops = {name: dict(card.crops) for name, card in DATASETS.items()}
    assert [crops[name]["anychange"] for name in ("levir-cd", "s2looking")] == [512, 512]
    assert [crops[name]["anychange"] for name in ("xview2", "second")] == [256, 256]
    assert [crops[name]["changeanywhere"] for name in ("second", "sysu-cd")] == [256, 256]
    assert crops["whu-cd"]["changeclip"] == 512


def test_every_card_says_where_to_get_it_and_under_which_terms() -> None:
    for name, card in DATASETS.items():
        assert card.name == name
        assert card.title
        assert card.terms
        assert card.labels
        assert card.layout
        if name != "folder":
            assert card.url.startswith("http")
            assert card.paper
            assert card.url in card.source()
            assert card.terms in card.source()


def test_every_role_of_a_layout_has_its_check(tmp_path: Path, make: Any) -> None:
    makers = {
        "second": lambda root: make.second(root, {"train": ["a"], "test": ["a"]}),
        "xview2": lambda root: make.xview2(root, {"test": ["a_1"]}),
        "oscd": lambda root: make.oscd(root, {"train": ["rio"], "test": ["bercy"]}),
        "whu-cd": make.whu,
        "folder": lambda root: make.split_pairs(root, FOLDER, {"test": ["a.png"]}),
    }
    for name, maker in makers.items():
        root = maker(tmp_path / name)
        layout = PAIRS[name]
        for files in layout.files(root, layout.splits(root)[-1]):
            assert set(files.paths) == set(layout.checks)
    root = make.openearthmap(tmp_path / "openearthmap", {"val": ["a_1"]})
    (files,) = IMAGES["openearthmap"].files(root, "val")
    assert set(files.paths) == set(IMAGES["openearthmap"].checks)


@pytest.mark.parametrize("inside", ["", "SECOND", "SECOND/SECOND"])
def test_a_dataset_is_found_in_the_folders_of_its_archive(
    tmp_path: Path, make: Any, inside: str
) -> None:
    make.second(tmp_path / inside, {"train": ["a"], "test": ["b"]})
    for name in (None, "second"):
        dataset = open_dataset(tmp_path, name)
        assert (dataset.name, dataset.root) == ("second", tmp_path / inside)


def test_deeper_it_is_not_looked_for(tmp_path: Path, make: Any) -> None:
    make.second(tmp_path / "a" / "b" / "c", {"train": ["a"], "test": ["b"]})
    with pytest.raises(InputError, match="no dataset"):
        open_dataset(tmp_path)


def test_of_several_one_must_be_chosen(tmp_path: Path, make: Any) -> None:
    make.second(tmp_path / "one", {"train": ["a"], "test": ["b"]})
    make.split_pairs(tmp_path / "two", FOLDER, {"": ["a.png"]})
    make.split_pairs(tmp_path / "three", FOLDER, {"": ["a.png"]})
    assert open_dataset(tmp_path, "second").name == "second"
    with pytest.raises(UsageError, match=r"several datasets: choose one of folder in \S*three, fo"):
        open_dataset(tmp_path, "folder")


def test_a_published_layout_goes_before_any_folder(tmp_path: Path, make: Any) -> None:
    make.second(tmp_path, {"train": ["a"], "test": ["b"]})
    make.split_pairs(tmp_path, FOLDER, {"test": ["a.png"]})
    assert open_dataset(tmp_path).name == "second"
    assert open_dataset(tmp_path, "folder").name == "folder"


def test_an_unknown_name_is_answered_with_all_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown dataset 'levir': choose from levir-cd, s2look"):
        open_dataset(tmp_path, "levir")
    with pytest.raises(UsageError, match=r"unknown dataset 'oem': choose from openearthmap"):
        open_images(tmp_path, "oem")


def test_what_is_absent_is_answered_with_its_source(tmp_path: Path) -> None:
    expected = r"is not a folder: get it from https://xview2\.org \(terms: CC BY-NC-SA 4\.0\)"
    with pytest.raises(InputError, match=expected):
        open_dataset(tmp_path / "absent", "xview2")
    with pytest.raises(InputError, match=r"not laid out as clcd is published: train, val and test"):
        open_dataset(tmp_path, "clcd")


def test_an_unknown_split_is_answered_with_those_that_are_there(tmp_path: Path, make: Any) -> None:
    make.second(tmp_path, {"train": ["a"], "test": ["b"]})
    with pytest.raises(UsageError, match=r"no split 'val': choose from train, test, all$"):
        open_dataset(tmp_path, split="val")


def test_all_splits_together_have_names_that_differ(tmp_path: Path, make: Any) -> None:
    make.second(tmp_path, {"train": ["a", "b"], "test": ["a"]})
    everything = open_dataset(tmp_path, split="all")
    assert [sample.name for sample in everything.samples] == ["test_a", "train_a", "train_b"]


def test_samples_are_in_the_order_of_their_names(tmp_path: Path, make: Any) -> None:
    make.split_pairs(tmp_path, FOLDER, {"": ["a.png", "a-b.png", "a_b.png"]})
    for crop in (None, 20):
        names = [sample.name for sample in open_dataset(tmp_path, crop=crop).samples]
        assert names == sorted(names)


def test_crops_are_cut_from_the_share_of_the_pairs(tmp_path: Path, make: Any) -> None:
    make.split_pairs(tmp_path, FOLDER, {"": [f"{k}.png" for k in range(10)]})
    kept = {sample.name for sample in open_dataset(tmp_path, share=0.3).samples}
    crops = [sample.name for sample in open_dataset(tmp_path, share=0.3, crop=16).samples]
    assert len(kept) == 3
    assert len(crops) == 12
    assert {name[0] for name in crops} == kept
    other = {sample.name for sample in open_dataset(tmp_path, share=0.3, seed=2).samples}
    assert other != kept


def test_nothing_is_decoded_before_it_is_asked_for(tmp_path: Path, make: Any) -> None:
    make.split_pairs(tmp_path, FOLDER, {"": ["a.png"]})
    for path in tmp_path.rglob("*.png"):
        make.truncate(path)
    (sample,) = open_dataset(tmp_path).samples
    for read in (sample.pair, sample.truth):
        with pytest.raises(InputError, match=r"a\.png cannot be read"):
            read()


def test_samples_can_be_handed_to_other_processes(tmp_path: Path, make: Any) -> None:
    roots = [
        make.second(tmp_path / "second", {"train": ["a"], "test": ["b"]}),
        make.xview2(tmp_path / "xview2", {"test": ["a_1"]}),
        make.oscd(tmp_path / "oscd", {"train": ["rio"], "test": ["bercy"]}),
        make.whu(tmp_path / "whu"),
        make.split_pairs(tmp_path / "folder", FOLDER, {"": ["a.png"]}),
    ]
    for root in roots:
        sample = open_dataset(root, crop=16).samples[0]
        again = pickle.loads(pickle.dumps(sample))  # noqa: S301
        assert (again.pair().before == sample.pair().before).all()
        assert (again.truth() == sample.truth()).all()
