"""What the facts of a pair mean: notes, things to correct, and reasons not to compare at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from terradelta.geo.grid import CommonGrid
from terradelta.geo.radiometry import Normalisation
from terradelta.geo.reader import opened
from terradelta.geo.register import ShiftField
from terradelta.geo.sample import Sample

SHIFT_TO_CORRECT_PX = 0.5
MOST_SHIFT_PX = 4.0
"""A larger shift is more than registration noise: the georeference of one of the two is wrong."""
MOST_RESIDUAL_PX = 1.5
MOST_FARTHEST_PX = 3.0
ENOUGH_FOUND = 0.3
"""Share of windows found again from which the farthest tenth of them mean something."""
ENOUGH_TRIED = 30
GAIN_TO_CORRECT = 0.05
DISTANCE_TO_CORRECT = 0.1
DISTANCE_OF_ONE_PLACE = 0.3
"""Radiometric distance, once normalised, below which colours alone show that the place is the same."""
CLOUDS_TO_MENTION, MOST_CLOUDS = 0.03, 0.2
LEAST_VALID = 0.05
TIME_TAGS = ("ACQUISITIONDATETIME", "TIFFTAG_DATETIME")

NOTE, CORRECT, REFUSE = 0, 1, 2


class Finding(NamedTuple):
    """One fact that matters: how much (``NOTE``, ``CORRECT`` or ``REFUSE``), and in words."""

    level: int
    text: str


def of_files(
    files: dict[str, Any], common: CommonGrid | None, paths: tuple[Path, Path]
) -> Iterator[Finding]:
    counts = [len(files[date]["bands"]) for date in ("before", "after")]
    if counts[0] != counts[1]:
        grey, colour = ("before", "after") if counts[0] < counts[1] else ("after", "before")
        yield Finding(
            REFUSE, f"{grey} has one band and {colour} three: grey and colour differ everywhere"
        )
    if common is not None and common.crs[0] != common.crs[1]:
        names = [crs.to_string() for crs in common.crs]
        yield Finding(CORRECT, f"the CRS differ ({names[0]} and {names[1]}): after is reprojected")
    elif common is not None and files["after"]["resampling"] != "none":
        yield Finding(CORRECT, "the pixel grids differ: after is resampled")
    if common is not None and files["before"]["resampling"] != "none":
        yield Finding(CORRECT, f"before is resampled too: {common.choice}")
    if common is not None and min(common.overlap) < 0.5:
        shares = [f"{share:.1%}" for share in common.overlap]
        yield Finding(
            NOTE, f"they share little ground: {shares[0]} of before, {shares[1]} of after"
        )
    times = [_time(path) for path in paths]
    if all(times) and times[0] > times[1]:
        yield Finding(
            NOTE,
            f"their time stamps are in the other order ({times[0]}, {times[1]}): is before the "
            f"earlier date?",
        )


def _time(path: Path) -> str:
    """When an image was taken, if it says so: sorts as text; empty if unknown."""
    with opened(path) as source:
        tags = {**source.tags(), **source.tags(ns="IMAGERY")}
    stamps = [tags[name] for name in TIME_TAGS if tags.get(name)]
    return stamps[0][:10].replace(":", "-") + stamps[0][10:19].replace("T", " ") if stamps else ""


def of_data(sample: Sample) -> Iterator[Finding]:
    if sample.valid_share < LEAST_VALID:
        yield Finding(
            REFUSE, f"only {sample.valid_share:.1%} of the overlap holds data in both dates"
        )
    if all(np.array_equal(p.before, p.after) for p in sample):
        yield Finding(NOTE, "both dates hold the same values")


def of_shift(shift: ShiftField, normalisation: Normalisation) -> Iterator[Finding]:
    if not shift.measured:
        alike = normalisation.trusted and normalisation.distance[1] < DISTANCE_OF_ONE_PLACE
        if alike or shift.tried < ENOUGH_TRIED:
            yield Finding(
                NOTE, "no shift could be measured: the edges of the two dates do not match"
            )
        else:
            yield Finding(
                REFUSE,
                "the edges of the two dates do not match, and their colours hardly: not the same place, "
                "a wrong georeference, clouds, or everything changed",
            )
        return
    scattered = shift.found >= ENOUGH_FOUND and shift.tried >= ENOUGH_TRIED
    if shift.residual > MOST_RESIDUAL_PX or (scattered and shift.farthest > MOST_FARTHEST_PX):
        yield Finding(
            REFUSE,
            f"the shift differs from place to place: by {shift.residual:.1f} px in the median and "
            f"{shift.farthest:.1f} px in the farthest tenth. No one shift mends that: warp after with "
            f"ground control points",
        )
    elif shift.length > MOST_SHIFT_PX:
        yield Finding(
            REFUSE,
            f"after lies {in_words(shift.shift)} of where it should, {shift.length:.1f} px in all: more "
            f"than the {MOST_SHIFT_PX:g} px of ordinary registration. Register the two first",
        )
    elif shift.length > SHIFT_TO_CORRECT_PX:
        x, y = shift.correction
        yield Finding(
            CORRECT, f"after lies {in_words(shift.shift)}: move it by ({x:+.2f}, {y:+.2f}) px"
        )


def of_radiometry(normalisation: Normalisation, files: dict[str, Any]) -> Iterator[Finding]:
    kinds = [files[date]["dtype"] for date in ("before", "after")]
    was, becomes = normalisation.distance
    if not normalisation.trusted:
        yield Finding(NOTE, f"no radiometric normalisation: {normalisation.reason}")
    if kinds[0] != kinds[1]:
        yield Finding(
            CORRECT,
            f"the types differ ({kinds[0]} and {kinds[1]}): after is brought to the other's scale",
        )
    elif normalisation.trusted and (
        max(abs(g - 1) for g in normalisation.gain) > GAIN_TO_CORRECT or was > DISTANCE_TO_CORRECT
    ):
        yield Finding(
            CORRECT,
            f"the radiometry differs: the median distance is {was:.2f} standard deviations, "
            f"{becomes:.2f} once after is normalised",
        )


def of_clouds(clouds: tuple[float, float]) -> Iterator[Finding]:
    for date, share in zip(("before", "after"), clouds, strict=True):
        if share > CLOUDS_TO_MENTION:
            level = REFUSE if share > MOST_CLOUDS else CORRECT
            yield Finding(
                level, f"{share:.0%} of {date} looks like cloud: mask it or take another date"
            )


def in_words(shift: tuple[float, float]) -> str:
    """A shift in pixels, as "1.50 px to the right and 0.25 px up"."""
    x, y = shift
    sides = "right" if x >= 0 else "left", "down" if y >= 0 else "up"
    return f"{abs(x):.2f} px to the {sides[0]} and {abs(y):.2f} px {sides[1]}"
