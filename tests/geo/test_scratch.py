import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import RasterioIOError
from rasterio.transform import Affine

from terradelta.errors import InputError, OutputError
from terradelta.geo.scratch import built_aside, moved_together, output_errors


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """To a program a file that may not grow looks like a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- one file ------------------------------------------------------------------------------------


def test_a_file_appears_when_it_is_whole_and_nothing_with_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "changes.gpkg"
    with built_aside(path) as temporary:
        assert temporary.name == path.name
        temporary.write_text("half")
        temporary.with_name("changes.gpkg-journal").write_text("a journal")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["changes.gpkg"]


@pytest.mark.parametrize("error", [InputError("part 7 is damaged"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "changes.gpkg"
    path.write_text("old")
    with pytest.raises(type(error)) as caught, built_aside(path) as temporary:
        temporary.write_text("new")
        raise error
    assert caught.value is error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["changes.gpkg"]


def test_what_a_killed_run_left_is_not_taken_over(tmp_path: Path) -> None:
    left = tmp_path / ".changes.gpkg.part"
    left.mkdir()
    (left / "changes.gpkg").write_text("left")
    with built_aside(tmp_path / "changes.gpkg") as temporary:
        assert not temporary.exists()
        temporary.write_text("new")
    assert names(tmp_path) == ["changes.gpkg"]


def test_a_file_that_was_not_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"cannot write .*changes\.gpkg: No such file"),
        built_aside(tmp_path / "changes.gpkg"),
    ):
        pass
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with (
        pytest.raises(OutputError, match=r"cannot write .*taken.changes\.gpkg: Not a directory"),
        built_aside(tmp_path / "taken" / "changes.gpkg"),
    ):
        pytest.fail("there is no folder")


# --- several files -------------------------------------------------------------------------------


def test_files_appear_together_when_all_are_made(tmp_path: Path) -> None:
    aside, folder = tmp_path / "run" / "made", tmp_path / "out"
    folder.mkdir()
    for name in ("mask.tif", "notes.txt"):
        (folder / name).write_text("old")
    with moved_together(aside, folder, "run.json") as made:
        assert made == aside
        for name in ("mask.tif", "run.json", "score.tif"):
            (made / name).write_text("new")
        assert names(folder) == ["mask.tif", "notes.txt"]
    read = {path.name: path.read_text() for path in folder.iterdir()}
    assert read == {"mask.tif": "new", "notes.txt": "old", "run.json": "new", "score.tif": "new"}
    assert not aside.exists()


@pytest.mark.parametrize("error", [OutputError("the disk is full"), KeyboardInterrupt()])
def test_an_error_leaves_all_old_files(tmp_path: Path, error: BaseException) -> None:
    aside, folder = tmp_path / "made", tmp_path / "out"
    folder.mkdir()
    (folder / "mask.tif").write_text("old")
    with pytest.raises(type(error)) as caught, moved_together(aside, folder, "run.json") as made:
        (made / "mask.tif").write_text("new")
        raise error
    assert caught.value is error
    assert (folder / "mask.tif").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_what_a_killed_run_made_is_not_moved(tmp_path: Path) -> None:
    aside = tmp_path / "made"
    aside.mkdir()
    (aside / "item.json").write_text("left")
    (tmp_path / "out").mkdir()
    with moved_together(aside, tmp_path / "out", "run.json") as made:
        assert names(made) == []
        (made / "run.json").write_text("new")
    assert names(tmp_path / "out") == ["run.json"]


def test_the_last_comes_last(tmp_path: Path) -> None:
    """A folder in the way of a file stops the moving: the record has not been replaced yet."""
    folder = tmp_path / "out"
    (folder / "score.tif").mkdir(parents=True)
    (folder / "run.json").write_text("old")
    with (
        pytest.raises(OutputError, match=r"cannot write .*out.score\.tif: Is a directory"),
        moved_together(tmp_path / "made", folder, "run.json") as made,
    ):
        for name in ("mask.tif", "run.json", "score.tif"):
            (made / name).write_text("new")
    assert (folder / "mask.tif").read_text() == "new"
    assert (folder / "run.json").read_text() == "old"


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", "/x/.y.part"), "No space left on device"),
        (OSError("a part is lost"), "a part is lost"),
        (RuntimeError("database is locked\n  at line 3"), "database is locked"),
        (RuntimeError("\nbad pages"), "bad pages"),
        (OSError(), "OSError"),
        (RasterioIOError("  "), "RasterioIOError"),
    ],
)
def test_an_error_of_a_library_becomes_one_line_that_names_the_file(
    error: Exception, told: str
) -> None:
    with pytest.raises(OutputError) as caught, output_errors(Path("out/mask.tif"), "; full?"):
        raise error
    assert str(caught.value) == f"cannot write out/mask.tif: {told}; full?"
    assert caught.value.__cause__ is error


def test_an_error_that_only_points_to_its_cause_is_told_by_the_cause() -> None:
    def fail() -> None:
        try:
            raise ValueError("bad block")
        except ValueError as cause:
            raise RasterioIOError("Write failed. See previous exception.") from cause

    with pytest.raises(OutputError, match=r"^cannot write mask\.tif: bad block$"):
        with output_errors(Path("mask.tif")):
            fail()


@pytest.mark.parametrize(
    "error", [OutputError("cannot write inner.tif: full"), InputError("damaged"), KeyError("a")]
)
def test_what_names_its_file_already_or_is_not_of_writing_passes(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, output_errors(Path("outer.tif")):
        raise error
    assert caught.value is error


def test_a_full_disk_is_told_by_what_the_system_says(tmp_path: Path) -> None:
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "width": 512, "height": 512,
        "transform": Affine.scale(2),
    }  # fmt: skip
    path = tmp_path / "mask.tif"
    with files_no_larger_than(1000):
        with pytest.raises(OutputError, match=r"^cannot write .*text: File too large$"):
            with output_errors(tmp_path / "text"):
                (tmp_path / "text").write_bytes(bytes(2000))
        with pytest.raises(OutputError, match=r"^cannot write .*mask\.tif: \S"):
            with output_errors(path), rasterio.open(path, "w", **profile) as target:
                target.write(np.ones((1, 512, 512), np.uint8))
