"""Labelling a folder of pairs with a model of change: its answers become a dataset to learn from.

Zheng et al., "Segment Any Change", section 4.3: AnyChange gives pseudo labels of pairs that nobody has
labelled, by itself or for a click each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terradelta.data import Dataset
from terradelta.data.dataset import Sample
from terradelta.engine.asking import Asking, ask, check_asking
from terradelta.engine.curate import Curation
from terradelta.engine.labels import RECORD, Label, LabelFolder, names_in, read_json, read_label
from terradelta.engine.pairs import open_unlabelled
from terradelta.engine.writing import Item, Labels, hash_of, write_labels
from terradelta.errors import InputError, UsageError
from terradelta.geo.pair import Pair
from terradelta.types import ChangeModel, Progress, silent


def label(
    pairs: Dataset | str | Path,
    model: ChangeModel,
    out: str | Path,
    *,
    asking: Asking | None = None,
    curation: Curation | None = None,
    progress: Progress = silent,
) -> Labels:
    """Label pairs with a model, into a folder with A, B and label that can be learnt from.

    After an interruption the same call goes on. A pair that cannot be read, or whose click finds no
    object, is left out and told in the summary; the next call tries it again.

    Args:
        pairs: a dataset, or what `open_unlabelled` opens.
        model: AnyChange, a detector, or any other `ChangeModel`.
        asking: how the model is asked; by default it answers by itself.
        curation: which pairs and pixels are left out; by default none.
        progress: called with (stage, pairs done, pairs in all).

    Raises:
        UsageError: the model cannot be asked so, or the folder holds other labels.
        InputError: no pairs, clicks on a pair that is not there, or no pair could be labelled.
        OutputError: a file cannot be written.
    """
    asking, curation = asking or Asking(), curation or Curation()
    dataset = pairs if isinstance(pairs, Dataset) else open_unlabelled(pairs)
    check_asking(asking, model)
    names = [sample.name for sample in dataset.samples]
    _check_names(names, asking, dataset.root)
    how = {
        "model": model.describe(),
        "asking": asking.describe(),
        "curation": curation.describe(),
    }
    which = {"dataset": dataset.name, "split": dataset.split, "names_sha256": hash_of(names)}
    folder = LabelFolder(out, {"pairs": which, **how})
    # The clicks of all other pairs are no provenance of one.
    told = {**how, "asking": {k: v for k, v in how["asking"].items() if k != "clicks"}}

    def labelled(sample: Sample) -> Label | None:
        clicks = asking.clicks_of(sample, dataset.name) if asking.clicked else None
        if asking.clicked and clicks is None:
            return None
        made = ask(model, sample, clicks, asking)
        return replace(made, facts={**_sources(made.pair), **told, **made.facts})

    items = [Item(each.name, each.pair, partial(labelled, each)) for each in dataset.samples]
    return write_labels(folder, items, curation, progress)


def curate(
    labels: str | Path, out: str | Path, curation: Curation, *, progress: Progress = silent
) -> Labels:
    """Curate the labels in a folder into another one; what was unknown stays so.

    After an interruption the same call goes on.

    Raises:
        InputError: the folder holds no labels of `label`, or none of them can be read.
        UsageError: ``out`` is the same folder, or holds other labels.
        OutputError: a file cannot be written.
    """
    source = Path(labels)
    names = names_in(source)
    if Path(out).resolve() == source.resolve():
        raise UsageError(f"{out} is the folder that is curated: choose another one")
    first = read_json(source / RECORD)["asked"]
    told = {"curated": curation.describe()}
    folder = LabelFolder(out, {**first, **told, "labels_sha256": hash_of(names)})

    def labelled(name: str) -> Label:
        made = read_label(source, name)
        return replace(made, facts={**made.facts, **told})

    def pair(name: str) -> Pair:
        return read_label(source, name).pair

    items = [Item(name, partial(pair, name), partial(labelled, name)) for name in names]
    return write_labels(folder, items, curation, progress)


def _check_names(names: Sequence[str], asking: Asking, root: Path) -> None:
    if not names:
        raise InputError(f"{root} holds no pairs")
    strange = sorted(set(asking.clicks or ()) - set(names))
    if strange:
        raise InputError(
            f"there are clicks on {strange[0]!r}, which is no pair of {root} "
            f"({len(strange)} such names): names are those of the images without suffix"
        )


def _sources(pair: Pair) -> dict[str, Any]:
    """Both inputs by name, with the hash of the file, or of the pixels where there is none."""
    images = zip(("before", "after"), pair.sources, (pair.before, pair.after), strict=True)
    return {date: _source(source, image) for date, source, image in images}


def _source(source: str | Path, image: NDArray[np.uint8]) -> Mapping[str, str]:
    path = Path(source)
    if not path.is_file():
        pixels = hashlib.sha256(image.tobytes()).hexdigest()
        return {"source": str(source), "sha256_of_pixels": pixels}
    with path.open("rb") as file:
        return {"source": str(path), "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
