"""The images of pairs, fetched into a folder with a table of them for `terradelta detect --pairs`."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import rasterio
from rasterio.errors import NotGeoreferencedWarning

from terradelta.errors import InputError
from terradelta.geo.files import replacing, write_text
from terradelta.geo.reader import READ_ERRORS
from terradelta.geo.stac_search import TIMEOUT_S, Item, file_name, plain
from terradelta.types import Progress

FORMATS = ("GTiff", "JP2OpenJPEG", "PNG", "JPEG")
"""None of them refers to other files, as a VRT does."""
CHUNK = 1 << 20

Pairs = Sequence[tuple[Item, Item]]


def fetch_pairs(pairs: Pairs, folder: Path, progress: Progress) -> tuple[list[str], list[str]]:
    """Fetch what ``folder`` lacks and write ``pairs.csv``; without any pair it is not written.

    A file is there whole or not at all. A pair of which an image cannot be fetched is left out. Returns
    the names of the pairs in the table, and a line for every image that failed.

    Raises:
        OutputError: a file cannot be written.
    """
    failed: dict[Item, str] = {}
    items = list(dict.fromkeys(item for pair in pairs for item in pair))
    for number, item in enumerate(items, 1):
        if (folder / item.file).exists():
            continue
        try:
            _fetch(item, folder / item.file, f"image {number} of {len(items)}, MB", progress)
        except InputError as error:
            failed[item] = f"{item.file.name}: {error}"
    rows = [
        (str(before.file), str(after.file), name)
        for (before, after), name in zip(pairs, _names(pairs), strict=True)
        if before not in failed and after not in failed
    ]
    if rows:
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([("before", "after", "name"), *rows])
        write_text(folder / "pairs.csv", table.getvalue())
    return [name for _, _, name in rows], list(failed.values())


def _names(pairs: Pairs) -> list[str]:
    """The place, or the id of *before*, and both days; numbered where that is not one pair alone."""
    names = [file_name(f"{b.place or b.id}_{b.day}_{a.day}") for b, a in pairs]
    return [
        name if names.count(name) == 1 else f"{name}_{number}"
        for number, name in enumerate(names, 1)
    ]


def _fetch(item: Item, path: Path, stage: str, progress: Progress) -> None:
    read = _from_disk if urlsplit(item.href).scheme == "file" else _from_web
    with replacing(path) as temporary:
        with temporary.open("wb") as target:
            for chunk, size in read(item.href):
                target.write(chunk)
                progress(stage, target.tell() >> 20, size >> 20)
        _check_image(temporary)


def _from_web(href: str) -> Iterator[tuple[bytes, int]]:
    """Chunks, each with the size of the whole, 0 if it is not told."""
    import requests

    try:
        with requests.get(href, stream=True, timeout=TIMEOUT_S) as answer:
            if answer.status_code != 200:
                raise InputError(f"the server answers {answer.status_code} {plain(answer.reason)}")
            told = answer.headers.get("Content-Length", "")
            for chunk in answer.iter_content(CHUNK):  # urllib3 refuses to end before what was told
                yield chunk, int(told) if told.isdecimal() else 0
    except requests.RequestException as error:
        raise InputError(f"not fetched whole: {plain(error)}") from error


def _from_disk(href: str) -> Iterator[tuple[bytes, int]]:
    path = Path(url2pathname(urlsplit(href).path))
    try:
        with path.open("rb") as source:
            while chunk := source.read(CHUNK):
                yield chunk, path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _check_image(path: Path) -> None:
    """The page that asks for a login also comes with the status of success."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        for driver in FORMATS:
            with suppress(*READ_ERRORS):
                rasterio.open(path, driver=driver).close()
                return
    raise InputError(f"what came is no image; {', '.join(FORMATS)} are")
