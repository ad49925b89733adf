"""Looking through one file: it is decoded to its last pixel, a strip at a time, and nothing is kept.

A file that was cut off while it was loaded often opens well, and some readers fill the rest in silence.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terradelta.data.labels import Colour, not_among, not_binary, not_coded, packed, values_of
from terradelta.errors import InputError
from terradelta.geo.reader import colour_bands, opened, palette_of

STRIP_PIXELS = 4_000_000
PNG_HEAD = b"\x89PNG\r\n\x1a\n"


class Look(NamedTuple):
    """(height, width) of a file that has one, and what is wrong with its content."""

    shape: tuple[int, int] | None
    complaint: str | None = None


Check = Callable[[Path], Look]
"""Raises InputError if the file cannot be read to its end."""


def look_at_image(path: Path) -> Look:
    """Any image."""
    shape = (0, 0)
    for height, width, _ in _strips(path, stored=True):
        shape = (height, width)
    return Look(shape)


def look_at_change(path: Path) -> Look:
    """A mask of change: 0 and one other value."""
    return _look(path, values_of, not_binary)


def look_at_codes(path: Path, count: int) -> Look:
    """A class map whose first band holds 0 to ``count - 1``."""
    return _look(path, lambda strip: values_of(strip[0]), lambda v: not_coded(v, count), True)


def look_at_colours(path: Path, colours: Sequence[Colour]) -> Look:
    """A class map in colours."""
    return _look(
        path, lambda strip: set(np.unique(packed(strip)).tolist()), lambda v: not_among(v, colours)
    )


def _look(
    path: Path,
    values: Callable[[NDArray[Any]], set[Any]],
    wrong: Callable[[set[Any]], str | None],
    stored: bool = False,
) -> Look:
    shape, found = (0, 0), set()
    for height, width, strip in _strips(path, stored):
        shape = (height, width)
        found |= values(strip)
    return Look(shape, wrong(found))


def _strips(path: Path, stored: bool) -> Iterator[tuple[int, int, NDArray[Any]]]:
    """Height, width and the next rows [bands, h, W] of an image, from its first to its last.

    As they are ``stored``, or with the colours of a palette in place of what stands for them.
    """
    with opened(path) as source:
        palette = None if stored else palette_of(source)
        bands = list(range(1, source.count + 1)) if stored else list(colour_bands(source))
        rows = max(source.block_shapes[0][0], STRIP_PIXELS // source.width)
        for top in range(0, source.height, rows):
            part = ((top, min(top + rows, source.height)), (0, source.width))
            if palette is None:
                strip = source.read(bands, window=part)
                strip = np.repeat(strip, 3, 0) if not stored and len(bands) == 1 else strip
            else:
                strip = palette[source.read(1, window=part)].transpose(2, 0, 1)[:3]
            yield source.height, source.width, strip
    if path.suffix.lower() == ".png":
        _check_png_end(path)


def _check_png_end(path: Path) -> None:
    """Pixels may be whole where the end of the file is not: the last part must be there."""
    with path.open("rb") as file:
        if file.read(len(PNG_HEAD)) != PNG_HEAD:
            return
        kind = b""
        while kind != b"IEND":
            head = file.read(8)
            kind, size = head[4:], int.from_bytes(head[:4], "big")
            body = file.read(size + 4)
            whole = len(head) == 8 and len(body) == size + 4
            if not whole or zlib.crc32(kind + body[:-4]) != int.from_bytes(body[-4:], "big"):
                raise InputError(f"{path} is cut off or damaged at byte {file.tell():,}")
