"""The methods of a table: AnyChange with every segmenter that is asked for, and every baseline."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from terradelta.baselines import BASELINES, load_baseline
from terradelta.bench.cases import Answers, Case, Choice, Loaded, Row, Trial, as_it_is
from terradelta.data.dataset import Sample
from terradelta.errors import UsageError
from terradelta.geo.pair import ImageLike, Pair
from terradelta.types import ChangeModel, FolderModel, Progress
from terradelta.zeroshot.anychange import AnyChange

ANYCHANGE = "anychange"
METHODS = (ANYCHANGE, *BASELINES)


def method_cases(
    choice: Choice,
    dataset: str,
    condition: str = "",
    view: Callable[[Sample], Sample] = as_it_is,
) -> list[Case]:
    """A case of one row for every method, with every backbone of the kind that it needs.

    Raises:
        UsageError: an unknown method.
    """
    unknown = [name for name in choice.methods if name not in METHODS]
    if unknown:
        raise UsageError(f"unknown method {unknown[0]!r}: choose from {', '.join(METHODS)}")
    own = ("",)
    backbones = {
        "segmenter": choice.segmenters,
        "features": choice.features,
        "backbone": own,
        None: own,
    }
    cases = []
    for name in choice.methods:
        card = BASELINES.get(name)
        for backbone in backbones["segmenter" if card is None else card.needs]:
            row = row_of(name, backbone, condition)
            load = partial(_load, name, row.key, backbone, dataset, choice.device)
            cases.append(Case(row.key, (row,), load, view))
    return cases


def row_of(name: str, backbone: str, condition: str = "") -> Row:
    """The row of a method by its ``name``, with a backbone, under a condition in words."""
    key = "-".join(filter(None, (name, slug(backbone), condition.replace(" ", "-"))))
    return Row(key, "AnyChange" if name == ANYCHANGE else name, label(backbone), condition)


def load_anychange(segmenter: str, dataset: str, device: str) -> AnyChange:
    """AnyChange as the paper's experiments use it."""
    return AnyChange(**_segmenter_settings(segmenter, dataset, device))


def settings_of(model: ChangeModel, backbone: str) -> dict[str, Any]:
    """What decides its answers, down to the content of weights that are given as a path."""
    return {**model.describe(), **_weights(Path(backbone))} if backbone else model.describe()


def images_of(pair: Pair) -> tuple[ImageLike, ImageLike]:
    """Both dates as arrays; what is not valid is transparent."""
    if pair.valid.all():
        return pair.before, pair.after
    opaque = np.where(pair.valid, 255, 0).astype(np.uint8)
    return np.dstack([pair.before, opaque]), np.dstack([pair.after, opaque])


def slug(name: str) -> str:
    """A name of a file for that of a backbone or a pair; different names have different ones."""
    short = re.sub(r"[^A-Za-z0-9_.-]+", "-", label(name)).strip("-.")
    if short == name:
        return name
    return f"{short}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def label(backbone: str) -> str:
    """How a table names a backbone: a path goes by its last part."""
    return Path(backbone).name


def _segmenter_settings(segmenter: str, dataset: str, device: str) -> dict[str, Any]:
    """Those of the paper for SAM, their own for other segmenters."""
    preset = "paper-xview2" if dataset == "xview2" else "paper"
    own = segmenter == "regions"
    return {"model": segmenter, "preset": "default" if own else preset, "device": device}


def _load(name: str, key: str, backbone: str, dataset: str, device: str) -> Loaded:
    if name == ANYCHANGE:
        return _loaded(load_anychange(backbone, dataset, device), key, backbone)
    card = BASELINES[name]
    if card.needs == "segmenter":
        settings = _segmenter_settings(backbone, dataset, device)
    elif card.needs == "features":
        settings = {"features": backbone, "device": device}
    else:
        module, _, kind = card.home.partition(":")
        accepted = inspect.signature(getattr(import_module(module), kind)).parameters
        settings = {"device": device} if "device" in accepted else {}
    return _loaded(load_baseline(name, **settings), key, backbone)


def _loaded(model: ChangeModel, key: str, backbone: str) -> Loaded:
    def ask(sample: Sample) -> Answers:
        answer = model.detect(*images_of(sample.pair()))
        return Answers({key: [Trial.of(answer, sample.truth())]})

    def learn(samples: Sequence[Sample], progress: Progress) -> None:
        cast(FolderModel, model).fit(_Images(samples), progress=progress)

    return Loaded(settings_of(model, backbone), ask, learn if hasattr(model, "fit") else None)


class _Images(Sequence[tuple[ImageLike, ImageLike]]):
    """The images of samples, read anew every time: a dataset need not fit into memory."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: Any) -> Any:
        return images_of(self._samples[index].pair())


def _weights(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        if file.is_file():
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return {"weights_sha256": digest.hexdigest()}
