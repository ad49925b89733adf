"""The detectors by name: what each is, where it was published, and how large it was there."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from terradelta.errors import UsageError

if TYPE_CHECKING:
    from terradelta.detectors.detector import Detector


@dataclass(frozen=True, slots=True)
class Card:
    """``home`` is module:function. ``settings`` are what this name gives to the function.

    ``parameters`` in millions and ``flops`` (10^9 multiply-adds of a pair of ``side`` px) as published in
    ``source``; ``idle`` of the parameters, also in millions, belong to layers that no image passes, and
    are left out here. None where nothing was published.
    """

    title: str
    paper: str
    home: str
    parameters: float | None
    source: str
    flops: float | None = None
    side: int | None = None
    idle: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)


_HERE = "terradelta.detectors"
_ANYCHANGE = "Zheng et al., 2024, table 5"
_DU = "Du et al., 2026 (ISPRS 231), table 9"

DETECTORS: dict[str, Card] = {
    "fc-ef": Card(
        "FC-EF", "Daudt et al., 2018", f"{_HERE}.fc_siam:fc_ef", 1.35, _DU, flops=3.57, side=256
    ),
    "fc-siam-conc": Card(
        "FC-Siam-conc",
        "Daudt et al., 2018",
        f"{_HERE}.fc_siam:fc_siam_conc",
        1.55,
        _DU,
        flops=5.32,
        side=256,
    ),
    "fc-siam-diff": Card(
        "FC-Siam-diff",
        "Daudt et al., 2018",
        f"{_HERE}.fc_siam:fc_siam_diff",
        1.35,
        f"{_DU}; FLOPs {_ANYCHANGE}",
        flops=18.7,
        side=512,
    ),
    "stanet": Card(
        "STANet (PAM)",
        "Chen and Shi, 2020",
        f"{_HERE}.stanet:stanet",
        16.9,
        _ANYCHANGE,
        flops=156.7,
        side=512,
    ),
    "cdnet": Card("CDNet", "Chen, Li and Shi, 2021", f"{_HERE}.cdnet:cdnet", 14.3, _ANYCHANGE),
    "bit": Card(
        "BiT",
        "Chen, Qi and Shi, 2021",
        f"{_HERE}.bit:bit",
        11.9,
        _ANYCHANGE,
        flops=34.7,
        side=512,
        idle=8.907,
    ),
    "snunet": Card(
        "SNUNet (32 channels)",
        "Fang et al., 2021",
        f"{_HERE}.snunet:snunet",
        12.03,
        _DU,
        flops=54.82,
        side=256,
    ),
    "changer-r18": Card(
        "Changer (ChangerEx)",
        "Fang et al., 2023",
        f"{_HERE}.changer:changer",
        11.39,
        "Fang et al., 2023",
    ),
    "changeformer-mitb1": Card(
        "ChangeFormer on MiT-B1",
        "Bandara and Patel, 2022",
        f"{_HERE}.changeformer:changeformer",
        13.94,
        "Li et al., 2024 (Open-CD)",
    ),
    "lightcdnet": Card(
        "LightCDNet (small)",
        "Xing et al., 2023",
        f"{_HERE}.lightcdnet:lightcdnet",
        0.35,
        "Li et al., 2024 (Open-CD)",
        flops=1.65,
        side=256,
        settings={"size": "small"},
    ),
    "tinycd": Card(
        "TinyCD", "Codegoni et al., 2023", f"{_HERE}.tinycd:tinycd", 0.285, "Codegoni et al., 2023"
    ),
    "changestar-1x96-r18": Card(
        "ChangeStar (1 x 96) on ResNet-18",
        "Zheng et al., 2021",
        f"{_HERE}.changestar:changestar",
        16.4,
        _ANYCHANGE,
        flops=65.3,
        side=512,
        settings={"backbone": "resnet18", "layers": 1, "channels": 96},
    ),
    "changestar-1x96-mitb1": Card(
        "ChangeStar (1 x 96) on MiT-B1",
        "Zheng et al., 2021",
        f"{_HERE}.changestar:changestar",
        18.4,
        _ANYCHANGE,
        flops=67.3,
        side=512,
        settings={"backbone": "mit-b1", "layers": 1, "channels": 96},
    ),
    "changestar-1x256-r50": Card(
        "ChangeStar (1 x 256) on ResNet-50",
        "Zheng et al., 2021",
        f"{_HERE}.changestar:changestar",
        None,
        "",
        settings={"backbone": "resnet50", "layers": 1, "channels": 256},
    ),
}


def build_detector(
    name: str, *, classes: int = 1, pretrained: bool = False, **settings: Any
) -> Detector:
    """A detector with new weights, which torch's generator decides: seed it for the same ones.

    Args:
        name: a key of `DETECTORS`.
        classes: 1 for change or no change, or K kinds of which 0 is no change.
        pretrained: start the backbone from its ImageNet weights, if it has one and they are in reach.
        settings: of the family's function, beside or instead of those of the card.

    Raises:
        UsageError: unknown name or setting, or a value out of range.
        ModelError: unknown backbone.
    """
    card = DETECTORS.get(name)
    if card is None:
        raise UsageError(f"unknown detector {name!r}: choose from {', '.join(DETECTORS)}")
    module, _, function = card.home.partition(":")
    family = getattr(import_module(module), function)
    known = set(inspect.signature(family).parameters)
    kept = {**card.settings, **settings, "classes": classes}
    if unknown := sorted(set(kept) - known):
        raise UsageError(
            f"{name} has no setting {unknown[0]!r}: it has {', '.join(sorted(known - {'pretrained'}))}"
        )
    given = {**kept, "pretrained": pretrained} if "pretrained" in known else kept
    detector: Detector = family(**given)
    detector.name, detector.settings = name, kept
    return detector
