"""Made scenes: two pictures of the same place with exactly known changes."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine
from scipy.ndimage import find_objects

from terradelta.errors import UsageError
from terradelta.geo.files import write_geotiff, write_text
from terradelta.synth.events import Event, EventKind
from terradelta.synth.grid import Window
from terradelta.synth.nuisance import Nuisance
from terradelta.synth.plan import Plan
from terradelta.synth.render import Date, View
from terradelta.synth.shapes import NO_EVENT

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]

CRS = "EPSG:32633"
_MIDDLE = (512_000.0, 5_403_000.0)  # easting and northing of the middle of every scene
_SIZES = (16, 100_000)
_RESOLUTIONS = (0.1, 5.0)
ALL_EVENTS = tuple(EventKind)
DEFAULT_NUISANCE = Nuisance()


@dataclass(frozen=True)
class Scene:
    """A pair of pictures and what changed between them.

    ``before`` and ``after`` are uint8 [H, W, 3], RGB. ``truth`` is bool [H, W], True where the
    land cover that is seen from above changed: the footprint of a building that appeared or
    vanished, without its shadow, drive and garden; otherwise the altered patch. ``fringe`` is bool
    [H, W]: the pixels outside the truth whose picture an event alters, by its shadow, drive or
    parked cars, or within the camera's blur; a fair score may leave them out. ``event_map`` is
    int32 [H, W], 0 for no event, i + 1 for ``events[i]``. ``crs`` and ``transform`` place the scene
    on the ground, north up.
    """

    before: Image
    after: Image
    truth: Mask
    fringe: Mask
    events: tuple[Event, ...]
    event_map: NDArray[np.int32]
    crs: str
    transform: Affine

    def save(self, folder: str | Path) -> None:
        """Write ``before.tif``, ``after.tif``, ``truth.tif`` (255 where True) and ``events.json``.

        The folder is made if need be; files of those names are replaced, each in one step. Raises
        :class:`OutputError` if one cannot be written.
        """
        folder = Path(folder)
        truth = self.truth.astype(np.uint8) * np.uint8(255)
        for name, pixels in (("before", self.before), ("after", self.after), ("truth", truth)):
            write_geotiff(folder / f"{name}.tif", pixels, self.crs, self.transform)
        description = {
            "crs": self.crs,
            "transform": list(self.transform)[:6],
            "events": [asdict(event) for event in self.events],
        }
        write_text(folder / "events.json", json.dumps(description, indent=2) + "\n")


class SceneSource:
    """A scene that is rendered window by window, in memory proportional to the window.

    Any window holds the same pixels as the whole scene cropped. Scenes of one seed and resolution
    share their middle: a smaller one is a larger one's crop, sensor noise aside.
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 1024,
        *,
        seed: int = 0,
        resolution: float = 0.5,
        events: Collection[EventKind | str] = ALL_EVENTS,
        nuisance: Nuisance = DEFAULT_NUISANCE,
    ) -> None:
        """Arguments as for :func:`make_scene`."""
        self.size = _checked_size(size)
        self.resolution = _checked_resolution(resolution)
        self._nuisance = nuisance
        self._plan = Plan(_checked_seed(seed), _checked_kinds(events))

    @property
    def crs(self) -> str:
        """Coordinate reference system, as an EPSG code."""
        return CRS

    @property
    def transform(self) -> Affine:
        """From (column, row) to (easting, northing) in metres."""
        height, width = self.size
        left = _MIDDLE[0] - width / 2 * self.resolution
        top = _MIDDLE[1] + height / 2 * self.resolution
        return Affine(self.resolution, 0, left, 0, -self.resolution, top)

    def render(self, date: Date, window: tuple[int, int, int, int] | None = None) -> Image:
        """The picture of ``date``, "before" or "after", over a window: uint8 [h, w, 3].

        ``window`` is (x0, y0, x1, y1) in pixels, x1 and y1 exclusive; None for the whole scene.
        """
        if date not in ("before", "after"):
            raise UsageError(f"date must be 'before' or 'after', got {date!r}")
        return self._view(window).picture(date)

    def truth(self, window: tuple[int, int, int, int] | None = None) -> Mask:
        """Where land cover changed, over a window: bool [h, w]."""
        return np.asarray(self.event_numbers(window) != NO_EVENT)

    def fringe(self, window: tuple[int, int, int, int] | None = None) -> Mask:
        """Pixels outside the truth that an event alters, over a window: bool [h, w]."""
        return self._view(window).fringe

    def event_numbers(self, window: tuple[int, int, int, int] | None = None) -> NDArray[np.int64]:
        """The event at every pixel of a window, 0 for none: int64 [h, w].

        An event has the same number in every window.
        """
        return self._view(window).numbers

    def event_kind(self, number: int) -> EventKind:
        """What the event of a number is."""
        return self._plan.event(number).kind

    def scene(self) -> Scene:
        """The whole scene at once."""
        view = self._view(None)
        numbers = view.numbers
        present = np.unique(numbers[numbers != NO_EVENT])
        labels = np.where(numbers == NO_EVENT, 0, np.searchsorted(present, numbers) + 1)
        event_map = labels.astype(np.int32)
        areas = np.bincount(event_map.ravel(), minlength=len(present) + 1)[1:]
        events = tuple(
            Event(
                self.event_kind(int(number)),
                Window(columns.start, rows.start, columns.stop, rows.stop),
                int(area),
            )
            for number, area, (rows, columns) in zip(
                present, areas, find_objects(event_map), strict=True
            )
        )
        return Scene(
            before=view.picture("before"),
            after=view.picture("after"),
            truth=event_map > 0,
            fringe=view.fringe,
            events=events,
            event_map=event_map,
            crs=self.crs,
            transform=self.transform,
        )

    def _view(self, window: tuple[int, int, int, int] | None) -> View:
        height, width = self.size
        x0, y0, x1, y1 = (0, 0, width, height) if window is None else window
        if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
            raise UsageError(f"window {window!r} is empty or not inside {width} x {height} pixels")
        return View(self._plan, Window(x0, y0, x1, y1), self.size, self.resolution, self._nuisance)


def make_scene(
    size: int | tuple[int, int] = 1024,
    *,
    seed: int = 0,
    resolution: float = 0.5,
    events: Collection[EventKind | str] = ALL_EVENTS,
    nuisance: Nuisance = DEFAULT_NUISANCE,
) -> Scene:
    """Make two pictures of one place, with every change between them known.

    ``size`` is a side or (height, width) in pixels, each in [16, 100000]; ``resolution`` is in
    metres per pixel, in [0.1, 5]; ``seed`` is any integer from 0 on. ``events`` are the kinds that
    may happen, none for an unchanged pair. ``nuisance`` is what else differs between the dates, by
    default :class:`Nuisance` as it comes. The same arguments give the same bytes.

    At the default resolution a scene of 1024 pixels has events of every kind asked for, one of 512
    pixels most of them. Raises :class:`UsageError` for a value out of range.
    """
    source = SceneSource(size, seed=seed, resolution=resolution, events=events, nuisance=nuisance)
    return source.scene()


def _checked_size(size: int | tuple[int, int]) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else size
    low, high = _SIZES
    two = isinstance(sides, tuple) and len(sides) == 2
    if not two or not all(isinstance(n, int) and low <= n <= high for n in sides):
        raise UsageError(f"size must be one or two integers in [{low}, {high}], got {size!r}")
    return sides[0], sides[1]


def _checked_resolution(resolution: float) -> float:
    low, high = _RESOLUTIONS
    if not low <= resolution <= high:
        raise UsageError(f"resolution must lie in [{low}, {high}] metres, got {resolution!r}")
    return float(resolution)


def _checked_seed(seed: int) -> int:
    if not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed must be an integer from 0 on, got {seed!r}")
    return seed


def _checked_kinds(events: Collection[EventKind | str]) -> frozenset[EventKind]:
    known = [kind.value for kind in EventKind]
    wrong = [event for event in events if event not in known]
    if wrong or isinstance(events, str):
        raise UsageError(f"events must be among {', '.join(known)}, got {events!r}")
    return frozenset(EventKind(event) for event in events)
