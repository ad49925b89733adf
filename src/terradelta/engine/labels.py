"""A folder of labels: what lies in it, written so that it can be killed and gone on with.

``A``, ``B`` and ``label`` hold PNG files of the same names: a folder that `terradelta.data.open_dataset`
knows. A label is 255 where changed and 0 where not; where nobody knows it is transparent. ``soft`` holds
the chance of change as float32 TIFF files, NaN where unknown. ``provenance`` tells in a JSON file of
every label how it came about, ``dropped`` the same of every pair that got none. ``labels.json`` says what
was asked for: only the same goes on in the folder.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from terradelta import __version__
from terradelta.errors import InputError, UsageError
from terradelta.geo.files import writable_folder, write_geotiff, write_json, write_png
from terradelta.geo.pair import Pair, load_pair
from terradelta.geo.reader import read_raster
from terradelta.sam.masks import FloatArray
from terradelta.sam.segmenter import BoolArray

RECORD = "labels.json"
IMAGES = ("A", "B", "label")
PARTS = (*IMAGES, "soft", "provenance", "dropped")


@dataclass(frozen=True, slots=True)
class Label:
    """What changed in a pair, bool [H, W], where that is ``known``, and with what ``chance``.

    ``chance`` is float32 [H, W] in [0, 1], None if labels are hard. What is not valid in the pair is not
    known. ``facts`` say how the label came about, as JSON values.
    """

    pair: Pair
    changed: BoolArray
    known: BoolArray
    chance: FloatArray | None
    facts: Mapping[str, Any]

    @property
    def changed_fraction(self) -> float:
        """The share of change among the valid pixels, known or not; NaN if there are none."""
        valid = int(self.pair.valid.sum())
        return float((self.changed & self.pair.valid).sum()) / valid if valid else float("nan")


class LabelFolder:
    """A folder of labels, made or gone on with."""

    def __init__(self, path: str | Path, asked: Mapping[str, Any]) -> None:
        """``asked``: all that decides the labels, as JSON values.

        Raises:
            UsageError: the folder holds labels that were asked for otherwise.
            OutputError: nothing can be written into it.
        """
        self._asked: dict[str, Any] = json.loads(json.dumps({"terradelta": __version__, **asked}))
        self.path = Path(path)
        if (self.path / RECORD).is_file():
            _check_same(read_json(self.path / RECORD).get("asked"), self._asked, self.path)
        elif any((self.path / part).exists() for part in PARTS):
            raise UsageError(
                f"{self.path} holds images that are not labels of terradelta: choose another folder"
            )
        writable_folder(self.path)
        write_json(self.path / RECORD, {"asked": self._asked})
        for part in PARTS:
            for leftover in (self.path / part).glob(".*"):
                leftover.unlink(missing_ok=True)

    def is_settled(self, name: str) -> bool:
        """Whether a pair has its label, or was dropped."""
        return self._file("label", name).is_file() or self._file("dropped", name).is_file()

    def write(self, name: str, label: Label) -> None:
        """Add a label; its file comes last: where there is one, all of the pair is there.

        Raises:
            OutputError: a file cannot be written.
        """
        pair = label.pair
        write_png(self._file("A", name), shown(pair.before, pair.valid))
        write_png(self._file("B", name), shown(pair.after, pair.valid))
        known = label.known & pair.valid
        if label.chance is not None:
            soft = np.where(known, label.chance, np.float32(np.nan))
            _write_soft(self._file("soft", name), soft, pair)
        write_json(
            self._file("provenance", name), {**_stamp(name), **label.facts, **_shares(label)}
        )
        changed = np.where(label.changed, np.uint8(255), np.uint8(0))
        write_png(self._file("label", name), shown(changed, known))

    def drop(self, name: str, reason: str, facts: Mapping[str, Any]) -> None:
        """Note that a pair gets no label, and why."""
        write_json(self._file("dropped", name), {**_stamp(name), **facts, "dropped": reason})

    def finish(self, names: Iterable[str], failed: Mapping[str, str]) -> dict[str, Any]:
        """Write what became of the pairs ``names`` into ``labels.json``, and return it."""
        told = _summary(self, list(names), failed)
        write_json(self.path / RECORD, {"asked": self._asked, "summary": told})
        return told

    def _file(self, part: str, name: str) -> Path:
        return file_of(self.path, part, name)


def read_label(folder: Path, name: str) -> Label:
    """A label of a folder by its name.

    Raises:
        InputError: a file of it is missing or damaged.
    """
    pair = load_pair(file_of(folder, "A", name), file_of(folder, "B", name))
    mask = read_raster(file_of(folder, "label", name))
    soft = file_of(folder, "soft", name)
    chance = read_raster(soft).values[0] if soft.is_file() else None
    if mask.shape != pair.shape or (chance is not None and chance.shape != pair.shape):
        raise InputError(f"the files of {name} in {folder} differ in size")
    facts = read_json(file_of(folder, "provenance", name))
    return Label(pair, mask.values[0] > 0, mask.valid, chance, facts)


def names_in(folder: Path) -> list[str]:
    """The names of the labels in a folder, in order.

    Raises:
        InputError: it holds no labels of `terradelta label`.
    """
    if not (folder / RECORD).is_file():
        raise InputError(f"{folder} holds no labels of terradelta: {RECORD} is missing")
    return sorted(path.stem for path in (folder / "label").glob("*.png") if path.name[0] != ".")


def file_of(folder: Path, part: str, name: str) -> Path:
    """Where a part of a label lies.

    Raises:
        InputError: the name is not that of a file.
    """
    if Path(name).name != name or name.startswith("."):
        raise InputError(f"{name!r} cannot be the name of a file: rename the pair")
    suffix = {"soft": ".tif", "provenance": ".json", "dropped": ".json"}.get(part, ".png")
    return folder / part / (name + suffix)


def shown(image: NDArray[np.uint8], valid: BoolArray) -> NDArray[np.uint8]:
    """An image [H, W] or [H, W, 3] with a last band that is 0, transparent, where it is not valid."""
    if valid.all():
        return image
    return np.dstack([image, np.where(valid, np.uint8(255), np.uint8(0))])


def read_json(path: Path) -> dict[str, Any]:
    """Raises InputError if it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    return content


def _write_soft(path: Path, soft: FloatArray, pair: Pair) -> None:
    """With the place of the pair, where it has one."""
    place = pair.georeference
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        if place is None:
            write_geotiff(path, soft, None, Affine.identity())
        else:
            write_geotiff(path, soft, place.crs, place.transform)


def _stamp(name: str) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"name": name, "terradelta": __version__, "date": now}


def _shares(label: Label) -> dict[str, Any]:
    """In px, so that they can be added up over labels."""
    known = label.known & label.pair.valid
    return {
        "size_px": [label.pair.shape[1], label.pair.shape[0]],
        "valid_px": int(label.pair.valid.sum()),
        "known_px": int(known.sum()),
        "changed_px": int((label.changed & known).sum()),
        "changed_fraction": round(label.changed_fraction, 6),
    }


def _summary(folder: LabelFolder, names: list[str], failed: Mapping[str, str]) -> dict[str, Any]:
    sums: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for name in names:
        reason = file_of(folder.path, "dropped", name)
        if reason.is_file():
            dropped[read_json(reason)["dropped"]] += 1
        elif name not in failed:
            facts = read_json(file_of(folder.path, "provenance", name))
            sums += Counter({key: facts[key] for key in ("valid_px", "known_px", "changed_px")})
            sums["labelled"] += 1
            sums["without_change"] += facts["changed_px"] == 0
    return {
        "pairs": len(names),
        "labelled": sums["labelled"],
        "without_change": sums["without_change"],
        "changed_fraction": _share(sums["changed_px"], sums["known_px"]),
        "known_fraction": _share(sums["known_px"], sums["valid_px"]),
        "dropped": dict(sorted(dropped.items())),
        "failed": dict(failed),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _check_same(was: Any, now: dict[str, Any], folder: Path) -> None:
    was = was if isinstance(was, dict) else {}
    keys = [key for key in sorted(was.keys() | now.keys()) if was.get(key) != now.get(key)]
    if keys:
        told = ", ".join(f"{key} was {was.get(key)!r}, is {now.get(key)!r}" for key in keys)
        raise UsageError(
            f"{folder} holds labels that were asked for otherwise ({told}): choose another folder"
        )
