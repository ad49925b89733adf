"""Probing the latent space (AnyChange, section 3.2 and figure 3): are things of one kind alike in it?

Three objects of one kind are clicked on one date. The embedding of each is held against those of all
proposals of the same date, and of the other date; those within the segmenter's object angle are its
answer, as in a point query. The truth is where things of that kind are. Three consistent answers of high
recall say that the kind has a place of its own in the latent space. The paper shows one pair with
buildings chosen by hand: F1 68.1 +- 0.67, recall 96.2 +- 0.66 from *before* to *after*.

The pictures are the first three principal components of the embeddings of both dates, taken together,
as red, green and blue (Oquab et al., 2023), between the 1st and the 99th percentile of each.

The other date can only be asked where the dataset tells what there is on both dates: xView2 has all
buildings, SECOND those where something changed, so that precision is too low there. With a mask of
change alone, the changed objects are the kind, on the date where they are, and precision is too low as
well: like objects that did not change count as wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.bench.cases import RGB, Answers, BoolArray, Case, Choice, Loaded, Row, Trial
from terradelta.bench.components import principal_pictures
from terradelta.bench.methods import load_anychange, row_of, settings_of, slug
from terradelta.data import DATASETS
from terradelta.data.dataset import Sample
from terradelta.errors import InputError
from terradelta.geo.pair import Pair
from terradelta.sam.masks import FloatArray
from terradelta.sam.proposals import propose
from terradelta.sam.segmenter import Proposals, Segmenter
from terradelta.zeroshot.anychange import AnyChange
from terradelta.zeroshot.candidates import DATES, Examined, encode_view
from terradelta.zeroshot.clicks import draw_clicks, seed_of
from terradelta.zeroshot.matching import angles_between, mask_means
from terradelta.zeroshot.query import query_embedding
from terradelta.zeroshot.views import views_of

QUERIES = 3
SAME, OTHER = "same date", "other date"
Kind = Callable[[Sample], tuple[BoolArray, BoolArray]]
"""Where things of the kind that is clicked are in *before* and *after*, bool [H, W] each."""


def building_classes(dataset: str) -> list[int]:
    """The classes of a dataset that are buildings; in xView2 every class but 0 is a grade of damage."""
    classes = DATASETS[dataset].classes if dataset in DATASETS else ()
    if dataset == "xview2":
        return list(range(1, len(classes)))
    return [number for number, name in enumerate(classes) if name == "building"]


def latent_cases(choice: Choice, dataset: str) -> list[Case]:
    """A case for every segmenter, with a row for each date that can be asked."""
    return [_case(segmenter, dataset, choice) for segmenter in choice.segmenters]


def _case(segmenter: str, dataset: str, choice: Choice) -> Case:
    buildings = building_classes(dataset)
    date = choice.clicked_date or ("before" if buildings else "after")
    conditions = (SAME, OTHER) if buildings else (SAME,)
    rows = {name: row_of("latent", segmenter, name) for name in conditions}

    def kind(sample: Sample) -> tuple[BoolArray, BoolArray]:
        if buildings and sample.classes is not None:
            before, after = sample.classes()
            return np.isin(before, buildings), np.isin(after, buildings)
        return sample.truth(), sample.truth()

    def load() -> Loaded:
        model = load_anychange(segmenter, dataset, choice.device)
        settings = {
            **settings_of(model, segmenter),
            "object_angle_deg": model.segmenter.defaults.object_angle,
            "clicked": f"buildings of {date}" if buildings else f"change in {date}",
            "seed": choice.seed,
        }
        return Loaded(settings, partial(_ask, model, rows, kind, date, choice.seed))

    return Case(f"latent-{slug(segmenter)}", tuple(rows.values()), load)


def _ask(
    model: AnyChange, rows: dict[str, Row], kind: Kind, date: str, seed: int, sample: Sample
) -> Answers:
    here = DATES.index(date)
    there = kind(sample)
    clicks = draw_clicks(there[here], QUERIES, date, seed_of(seed, sample.name, 0))
    if len(clicks) < QUERIES:
        raise InputError(
            f"{sample.name} has {len(clicks)} objects to click in {date}: {QUERIES} are needed"
        )
    space = examine(model, sample.pair())
    trials: dict[str, list[Trial]] = {row.key: [] for row in rows.values()}
    for click in clicks:
        query = query_embedding([click], model.segmenter, [space.examined])
        for name, row in rows.items():
            asked = here if name == SAME else 1 - here
            answer = space.alike(query, asked, model.segmenter)
            trials[row.key].append(Trial(answer, there[asked], clicks=[click]))
    pictures = principal_pictures([encoded.embedding for encoded in space.examined.encoded])
    return Answers(trials, _captioned(pictures))


def _captioned(pictures: list[RGB]) -> dict[str, RGB]:
    return {f"embedding of {date}": picture for date, picture in zip(DATES, pictures, strict=True)}


@dataclass(frozen=True, slots=True)
class Space:
    """Both dates of a pair, encoded; the proposals of each, and their mean embeddings in it."""

    examined: Examined
    proposals: tuple[Proposals, ...]
    embeddings: tuple[NDArray[np.float64], ...]

    def alike(self, query: NDArray[np.float64], date: int, segmenter: Segmenter) -> BoolArray:
        """Where the proposals of a date lie within the object angle of a query, bool [H, W]."""
        proposals, limit = self.proposals[date], segmenter.defaults.object_angle
        distance: FloatArray = angles_between(self.embeddings[date], query)
        if segmenter.pixel_rule == "mean":
            nearness = proposals.masks.paint_mean(180 - distance, proposals.iou)
            return np.asarray(nearness >= 180 - limit)
        return proposals[distance <= limit].masks.union()


def examine(model: AnyChange, pair: Pair) -> Space:
    """Encode both dates of a pair and propose masks in each."""
    (view,) = views_of(pair.shape, 1, enlarge_windows=False)
    encoded = encode_view(model.segmenter, pair, view)
    proposals = [propose(model.segmenter, date, model.settings, pair.valid) for date in encoded]
    means: list[Any] = [
        mask_means(found.masks, date.embedding)
        for found, date in zip(proposals, encoded, strict=True)
    ]
    return Space(Examined(view, encoded), tuple(proposals), tuple(means))
