"""The papers' tables by name: what each shows, by which protocol, and what it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from terradelta.baselines import BASELINES
from terradelta.bench.cases import Case, Choice
from terradelta.bench.clicks import DRAWS, click_cases
from terradelta.bench.directions import direction_cases
from terradelta.bench.latent import latent_cases
from terradelta.bench.methods import ANYCHANGE, METHODS, method_cases
from terradelta.bench.radiation import JITTER, radiation_cases
from terradelta.bench.summary import Pool, change_counts, query_counts

PIXELS = {"f1": "F1", "precision": "precision", "recall": "recall"}
PROPOSALS = {**PIXELS, "ar@1000": "mask AR@1000"}
UNSUPERVISED = tuple(
    name for name in METHODS if name == ANYCHANGE or BASELINES[name].needs != "segmenter"
)
POOLED = (
    "Pixels of the change class, pooled over all pairs; in brackets the 95 % interval of a bootstrap "
    "over the pairs (1000 draws). Mask AR@1000 is the recall of the connected components of the truth by "
    "the 1000 best objects of a pair, over IoU 0.50 to 0.95. SAM runs with the paper's settings (64 x 64 "
    "points, predicted IoU 0.5, stability 0.8, on xView2 0.95, NMS 0.7, angle 25), regions with its own."
)


@dataclass(frozen=True, slots=True)
class Table:
    """``columns`` are the metrics that are shown, with their headings; ``methods`` those that are run
    unless others are chosen."""

    name: str
    title: str
    source: str
    protocol: str
    columns: Mapping[str, str]
    cases: Callable[[Choice, str], list[Case]]
    methods: tuple[str, ...] = (ANYCHANGE,)
    pool: Pool = change_counts


_ALL = (
    Table(
        "proposals",
        "Object change proposals without training",
        "AnyChange, table 1",
        POOLED,
        PROPOSALS,
        method_cases,
        METHODS,
    ),
    Table(
        "directions",
        "Matching in one direction and in both",
        "AnyChange, table 2",
        f"{POOLED} From before to after, only masks of before are matched and answered; from after to "
        "before, only masks of after.",
        PROPOSALS,
        direction_cases,
    ),
    Table(
        "radiation",
        "Another light on one date",
        "AnyChange, table 3",
        f"{POOLED} Colour jitter changes the later date: "
        f"{', '.join(f'{name} {strength:g}' for name, strength in JITTER.items())}, seeded for every "
        "pair. The paper states neither the strengths nor the date.",
        PROPOSALS,
        radiation_cases,
    ),
    Table(
        "clicks",
        "Changes of the kind of object that is clicked",
        "AnyChange, table 4",
        f"{POOLED} Clicks fall on random objects of the truth, each at its inner point farthest from its "
        f"boundary; three clicks are that object and two more. Every pair is clicked {DRAWS} times with "
        "objects drawn anew, and all draws are pooled. A pair without objects keeps its answer without a "
        "click.",
        PIXELS,
        click_cases,
    ),
    Table(
        "unsupervised",
        "Change detection without labels",
        "AnyChange, table 6",
        POOLED,
        PIXELS,
        method_cases,
        UNSUPERVISED,
    ),
    Table(
        "latent",
        "Things of one kind in the latent space",
        "AnyChange, section 3.2 and figure 3",
        "Three objects of one kind are clicked in one date; the proposals within the segmenter's object "
        "angle of each are its answer, in the same date and in the other. Pixels are pooled over all "
        "pairs query by query: the mean over the three queries, and their standard deviation; in brackets"
        " the 95 % interval of a bootstrap over the pairs. The pictures are the first three principal "
        "components of the embeddings of both dates as red, green and blue. The paper has, on one pair "
        "with buildings chosen by hand, F1 68.1 +- 0.67 and recall 96.2 +- 0.66 in the other date.",
        {
            "f1": "F1",
            "f1_sd": "+- over queries",
            "precision": "precision",
            "recall": "recall",
            "recall_sd": "+- over queries",
        },
        latent_cases,
        pool=query_counts,
    ),
)

TABLES = {table.name: table for table in _ALL}
