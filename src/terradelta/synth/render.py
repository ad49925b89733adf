"""Rendering a window of a plan at either date, with its truth."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from terradelta.synth.camera import camera_reach, expose, sensor_noise, tint_by_season
from terradelta.synth.canvas import Canvas
from terradelta.synth.crowns import paint_crowns
from terradelta.synth.events import EventKind
from terradelta.synth.grid import Axes, Window
from terradelta.synth.ground import paint_ground
from terradelta.synth.light import Sun, illuminate, shadow
from terradelta.synth.nuisance import Nuisance
from terradelta.synth.patches import paint_patches
from terradelta.synth.plan import Plan
from terradelta.synth.rivers import paint_river
from terradelta.synth.roads import paint_roads
from terradelta.synth.roofs import paint_building, paint_rubble
from terradelta.synth.shapes import NO_EVENT
from terradelta.synth.slabs import paint_slab
from terradelta.synth.survey import Survey

Date = Literal["before", "after"]


class View:
    """A window of a scene; what both dates and the truth share is worked out once.

    The surface is painted over the window and a halo, from which shadows and the camera's blur
    reach into it.
    """

    def __init__(
        self, plan: Plan, window: Window, size: tuple[int, int], step: float, nuisance: Nuisance
    ) -> None:
        self._window = window
        self._step = step
        self._noise = plan.noise
        self._shots = {"before": nuisance.before, "after": nuisance.after}
        self._suns = {
            date: Sun.at(shot.sun_azimuth, shot.sun_elevation) for date, shot in self._shots.items()
        }
        self._margin = max(camera_reach(shot) for shot in self._shots.values())
        longest = max(sun.reach(step) for sun in self._suns.values())
        self._halo = longest + self._margin + 3
        self._survey = Survey(plan, Axes.of(window.grow(self._halo), size, step))

    def picture(self, date: Date) -> NDArray[np.uint8]:
        """The photograph [h, w, 3] of a date."""
        shot, canvas = self._shots[date], self._canvas(date)
        tinted = tint_by_season(canvas.albedo, canvas.green, shot.season)
        light = illuminate(replace(canvas, albedo=tinted), self._suns[date], self._step)
        noise = sensor_noise(self._noise, self._window, int(date == "after"))
        return expose(self._cropped(light, self._margin), shot, self._margin, noise)

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """Number of the event at every pixel [h, w], ``NO_EVENT`` for none."""
        before, after = self._before.event, self._after.event
        return self._cropped(np.where(after != NO_EVENT, after, before), 0)

    @cached_property
    def fringe(self) -> NDArray[np.bool_]:
        """Pixels [h, w] outside the truth whose picture an event alters."""
        before, after = self._before, self._after
        altered = (before.albedo != after.albedo).any(axis=-1) | (before.green != after.green)
        altered |= before.height != after.height
        altered |= (before.slope_x != after.slope_x) | (before.slope_y != after.slope_y)
        for sun in set(self._suns.values()):
            shadows = (shadow(canvas.height, sun, self._step) for canvas in (before, after))
            altered |= np.not_equal(*shadows)
        spread = maximum_filter(altered, 2 * (self._margin + 1) + 1)
        return np.asarray(self._cropped(spread, 0) & (self.numbers == NO_EVENT))

    def _canvas(self, date: Date) -> Canvas:
        return self._before if date == "before" else self._after

    def _cropped(self, layer: NDArray[Any], margin: int) -> NDArray[Any]:
        """A layer without its halo, but for ``margin`` pixels."""
        cut = self._halo - margin
        return layer[cut:-cut, cut:-cut]

    @cached_property
    def _ground(self) -> Canvas:
        return paint_ground(self._survey)

    @cached_property
    def _before(self) -> Canvas:
        return self._paint("before")

    @cached_property
    def _after(self) -> Canvas:
        return self._paint("after")

    def _paint(self, date: Date) -> Canvas:
        survey, canvas = self._survey, self._ground.copy()
        paint_river(survey, canvas)
        if date == "after":
            paint_patches(survey, canvas)
        paint_roads(survey, canvas)
        new = {event.number for event in survey.events if event.kind is EventKind.BUILT}
        absent = {event.number for event in survey.events} - new if date == "after" else new
        for slab in survey.slabs:
            if slab.event not in absent:
                paint_slab(survey, canvas, slab)
        for building in survey.buildings:
            if building.event not in absent:
                paint_building(survey, canvas, building)
            elif date == "after":
                paint_rubble(survey, canvas, building)
        trees = survey.trees
        if date == "after":
            trees = trees.take(trees.event == NO_EVENT)
        paint_crowns(survey, canvas, trees)
        return canvas
