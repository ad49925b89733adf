"""May two images be compared? Overlap, grids, shift, radiometry and clouds, and a verdict on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from terradelta.errors import InputError
from terradelta.geo.clouds import cloud_shares
from terradelta.geo.findings import (
    CORRECT,
    NOTE,
    REFUSE,
    SHIFT_TO_CORRECT_PX,
    of_clouds,
    of_data,
    of_files,
    of_radiometry,
    of_shift,
)
from terradelta.geo.grid import CommonGrid
from terradelta.geo.radiometry import Normalisation, relative_normalisation
from terradelta.geo.reader import Raster, georeference_of, opened, read_raster
from terradelta.geo.register import ShiftField, shift_field
from terradelta.geo.sample import Sample, take_sample
from terradelta.geo.scene import ScenePair
from terradelta.geo.stretch import Radiometry, scene_radiometry


class Verdict(StrEnum):
    """What a check comes to."""

    comparable = "comparable"
    correction = "comparable after correction"
    no = "do not compare"


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """What is known of a pair.

    ``common`` is None for two plain images of one size. ``normalisation`` was fitted, and ``clouds``
    (share of before, of after) were looked for, once the shift was undone to the whole pixel.
    ``reasons`` tell why the verdict is not simply "comparable"; ``notes`` what is worth knowing.
    ``sample`` and ``radiometry`` are what the picture shows.
    """

    paths: tuple[Path, Path]
    common: CommonGrid | None
    shape: tuple[int, int]
    files: dict[str, Any]
    sample: Sample
    shift: ShiftField
    normalisation: Normalisation
    radiometry: Radiometry
    clouds: tuple[float, float]
    verdict: Verdict
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def shift_m(self) -> tuple[float, float] | None:
        """The shift in metres to the right and down, None without a measured shift or a CRS."""
        if self.common is None or not self.shift.measured:
            return None
        width, height = self.common.grid.pixel_m
        return self.shift.shift[0] * width, self.shift.shift[1] * height

    def describe(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        gain, offset = self.normalisation.measured
        clouds = dict(zip(("before", "after"), self.clouds, strict=True))
        return {
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "notes": list(self.notes),
            "grid": self.files,
            "valid_share": self.sample.valid_share,
            "shift": {
                **self.shift.describe(),
                "shift_m": None if self.shift_m is None else list(self.shift_m),
            },
            "radiometry": {
                "after_is_gain_times_before": list(gain),
                "plus_offset": list(offset),
                "correction_of_after": self.normalisation.describe(),
            },
            "cloud_like_share": clouds,
        }


def check_pair(before: str | Path, after: str | Path) -> Check:
    """Look at a sample of two images: two georeferenced rasters, or two plain images of one size.

    Raises:
        InputError: an image is unreadable, only one has a georeference, the two do not overlap (or
            differ in size, if plain), or no pixel is valid in both.
    """
    paths = Path(before), Path(after)
    with _source(*paths) as (sample, common, shape, files):
        shift = shift_field(sample)
    aligned = sample
    if shift.measured and shift.length > SHIFT_TO_CORRECT_PX:
        aligned = sample.aligned(round(shift.shift[0]), round(shift.shift[1]))
    normalisation = relative_normalisation(aligned)
    radiometry = scene_radiometry(aligned, normalisation)
    pixel_m = None if common is None else common.grid.pixel_size_m
    clouds = cloud_shares(aligned, radiometry, pixel_m)
    findings = [
        *of_files(files, common, paths),
        *of_data(sample),
        *of_shift(shift, normalisation),
        *of_radiometry(normalisation, files),
        *of_clouds(clouds),
    ]
    worst = max((finding.level for finding in findings), default=NOTE)
    return Check(
        paths,
        common,
        shape,
        files,
        sample,
        shift,
        normalisation,
        radiometry,
        clouds,
        list(Verdict)[worst],
        tuple(f.text for level in (REFUSE, CORRECT) for f in findings if f.level == level),
        tuple(f.text for f in findings if f.level == NOTE),
    )


_Source = tuple[Sample, CommonGrid | None, tuple[int, int], dict[str, Any]]


@contextmanager
def _source(before: Path, after: Path) -> Iterator[_Source]:
    """A sample of the pair, its grid, its shape and how its files are read."""
    if not (_is_plain(before) and _is_plain(after)):
        with ScenePair(before, after) as scene:
            yield scene.sample(), scene.common, scene.grid.shape, scene.describe()
        return
    rasters = read_raster(before), read_raster(after)
    if rasters[0].shape != rasters[1].shape:
        sizes = [f"{r.shape[1]} x {r.shape[0]} px" for r in rasters]
        raise InputError(
            f"{before} ({sizes[0]}) and {after} ({sizes[1]}) differ in size and have no CRS that says "
            f"where they lie: cut them to the same place, or georeference them"
        )
    yield _plain_sample(*rasters), None, rasters[0].shape, _describe_plain(*rasters)


def _is_plain(path: Path) -> bool:
    with opened(path) as source:
        return georeference_of(source) is None


def _plain_sample(before: Raster, after: Raster) -> Sample:
    def read(x0: int, y0: int, x1: int, y1: int) -> Any:
        part = (slice(y0, y1), slice(x0, x1))
        valid = before.valid[part] & after.valid[part]
        return before.values[:, *part], after.values[:, *part], valid

    dtypes = before.values.dtype, after.values.dtype
    return take_sample(read, before.shape, dtypes, f"{before.source} and {after.source}")


def _describe_plain(before: Raster, after: Raster) -> dict[str, Any]:
    height, width = before.shape
    files = {
        date: {"path": str(r.source), "bands": list(r.bands), "dtype": str(r.values.dtype)}
        for date, r in (("before", before), ("after", after))
    }
    return {"crs": None, "width": width, "height": height, "choice": "the pixels of both", **files}
