"""Building outputs aside, so that what is there stays whole until they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from terradelta.errors import OutputError


@contextmanager
def built_aside(path: Path) -> Iterator[Path]:
    """A path of the same name in a folder ``.NAME.part`` beside; if all goes well it is moved.

    Journals, indices and intermediate rasters that a library puts next to its file stay in that
    folder and go with it. Its name is fixed, so that what a killed run left goes with the next.

    Raises:
        OutputError: the folder cannot be made, or the file cannot be moved into its place.
    """
    folder = path.with_name(f".{path.name}.part")
    with output_errors(path):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    try:
        yield folder / path.name
        with output_errors(path):
            (folder / path.name).replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def moved_together(aside: Path, folder: Path, last: str) -> Iterator[Path]:
    """An empty folder ``aside``; if all goes well its files are moved to ``folder``, ``last`` at the end.

    Until then the files of those names in ``folder`` stay as they are: those of one run, not of two.
    Both must be on one file system. What a killed run left in ``aside`` goes with the next.

    Raises:
        OutputError: the folder cannot be made, or a file cannot be moved into its place.
    """
    with output_errors(aside):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
    try:
        yield aside
        for path in sorted(aside.iterdir(), key=lambda path: (path.name == last, path.name)):
            with output_errors(folder / path.name):
                path.replace(folder / path.name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def output_errors(path: Path, guess: str = "") -> Iterator[None]:
    """Errors of the system, GDAL and Arrow in writing become an OutputError that names ``path``.

    ``guess`` is added to what they say, where that is hard to understand.
    """
    try:
        yield
    except OutputError:
        raise
    except (OSError, RasterioError, CPLE_BaseError, RuntimeError) as error:
        # A read or write error of rasterio only points to the error that caused it.
        reason = getattr(error, "strerror", None) or str(error.__cause__ or error)
        reason = reason.strip() or type(error).__name__
        raise OutputError(f"cannot write {path}: {reason.splitlines()[0]}{guess}") from error
