"""The plan of a scene: every block's content, drawn when it is asked for."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import numpy as np

from terradelta.synth.events import EventKind, EventPlan
from terradelta.synth.fields import plan_farmland, plan_waterside, plan_woodland
from terradelta.synth.frame import Frame
from terradelta.synth.layout import Block, Layout, Theme
from terradelta.synth.planting import plant_row
from terradelta.synth.polygons import rectangle
from terradelta.synth.shapes import RoadKind
from terradelta.synth.sketch import BlockPlan, Sketch
from terradelta.synth.texture import Noise
from terradelta.synth.village import plan_village

_EVENTS_PER_BLOCK = 64
_BLOCKS = 1 << 16  # along each axis; blocks count from minus half of it
_FLOOD_REACH = 75.0


class Plan:
    """Where everything is, for one seed and choice of event kinds; it has no size."""

    def __init__(self, seed: int, kinds: Collection[EventKind]) -> None:
        self._seed = seed
        self._kinds = frozenset(kinds)
        self.noise = Noise(seed)
        self.layout = Layout(seed, self.noise)
        self.frame = Frame(self.noise, *self.layout.orientation())
        self.block = lru_cache(maxsize=256)(self._draw_block)

    def event(self, number: int) -> EventPlan:
        """The planned event of a number."""
        block = (number - 1) // _EVENTS_PER_BLOCK
        i, j = (index - _BLOCKS // 2 for index in divmod(block, _BLOCKS))
        return self.block(i, j).events[(number - 1) % _EVENTS_PER_BLOCK]

    def _draw_block(self, i: int, j: int) -> BlockPlan:
        place = (i + _BLOCKS // 2, j + _BLOCKS // 2)
        rng = np.random.default_rng(np.random.SeedSequence((self._seed, 2, *place)))
        first_number = (place[0] * _BLOCKS + place[1]) * _EVENTS_PER_BLOCK + 1
        sketch = Sketch(rng, first_number, self.layout.river_distance)
        block = self.layout.block(i, j)
        self._draw_theme(sketch, block)
        self._draw_roads(sketch, block)
        self._draw_banks(sketch, block)
        return sketch.finish(self.frame)

    def _draw_theme(self, sketch: Sketch, block: Block) -> None:
        # Complete groups see every kind of event, others about half of them.
        built, demolished, ploughed, dug, flooded, felled = (
            kind in self._kinds and (sketch.chance(0.5) or block.complete) for kind in EventKind
        )
        match block.theme:
            case Theme.VILLAGE:
                plan_village(sketch, block, built=built, demolished=demolished)
            case Theme.FARMLAND:
                plan_farmland(sketch, block, ploughed=ploughed, dug=dug, built=built)
            case Theme.WOODLAND:
                plan_woodland(sketch, block, felled=felled)
            case Theme.WATERSIDE:
                plan_waterside(sketch, block)
                if flooded:
                    self._plan_flood(sketch, block)

    def _draw_roads(self, sketch: Sketch, block: Block) -> None:
        """The lattice roads of the block's low sides, some with a row of trees."""
        for road in self.layout.roads(block.strip, block.row):
            sketch.roads.append(road)
            if road.kind is not RoadKind.TRACK and sketch.chance(0.4):
                side = 1.0 if sketch.chance(0.5) else -1.0
                plant_row(sketch, road.start, road.end, side * (road.width / 2 + 2.2))

    def _draw_banks(self, sketch: Sketch, block: Block) -> None:
        """Clumps of trees and bushes along the river."""
        group = (block.strip + 1) // 2
        if not self.layout.has_river(group) or self.layout.river_strip(group) != block.strip:
            return
        _, v0, _, v1 = block.bounds
        v = np.repeat(np.arange(v0, v1, 2.4), 2)
        side = np.tile((-1.0, 1.0), len(v) // 2)
        v = v + sketch.rng.uniform(-1.2, 1.2, len(v))
        middle, half_width = self.layout.river_middle(v.astype(np.float32), group)
        radius = sketch.rng.uniform(1.2, 4.2, len(v))
        away = half_width + sketch.rng.uniform(1.5, 7.5, len(v)) + 0.4 * radius
        clumps = np.sin(v / 23 + 2 * side) + np.sin(v / 9.1 + side)
        keep = sketch.rng.random(len(v)) < 0.36 + 0.3 * clumps
        u = middle + side * away
        sketch.stand(u[keep], v[keep], radius[keep], 1.9 * radius[keep] + 1.5, tint=-0.1)

    def _plan_flood(self, sketch: Sketch, block: Block) -> None:
        """Water over the low land along the river, on the node's side of the block."""
        half_span = sketch.uniform(38, 62)
        inward = 1.0 if block.far[1] > block.near[1] else -1.0
        v = block.near[1] + inward * (0.75 * half_span + 4)
        group = (block.strip + 1) // 2
        middle = float(self.layout.river_middle(np.array([v], np.float32), group)[0][0])
        box = rectangle(middle - _FLOOD_REACH, v - half_span, middle + _FLOOD_REACH, v + half_span)
        sketch.event(EventKind.FLOODED, box)
