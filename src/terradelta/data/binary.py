"""Pairs with a mask of change, a folder for each role in every split: S2Looking, SYSU-CD, CLCD, DSIFN.

Sources: Shen et al., "S2Looking" (Remote Sensing 2021); Shi et al., "A deeply supervised attention
metric-based network and an open aerial image dataset" (TGRS 2022); Liu et al., "A CNN-transformer network
with multiscale context aggregation" (JSTARS 2022); Zhang et al., "A deeply supervised image fusion
network" (ISPRS 2020); their repositories.

S2Looking: ``label`` holds new and demolished buildings alike, as papers evaluate it; ``label1`` and
``label2``, which part them, are not read. Neither the paper nor the repository says which image is the
earlier one. Image1 is taken as *before*, as public evaluations do; the mask is the same either way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from terradelta.data.card import Card, alike
from terradelta.data.checks import look_at_change, look_at_image
from terradelta.data.dataset import Sample
from terradelta.data.images import shape_of
from terradelta.data.layout import Layout, binary_sample, images_of, split_files, split_folders
from terradelta.errors import InputError

CHECKS = {"before": look_at_image, "after": look_at_image, "label": look_at_change}


def _layout(
    card: Card, before: str, after: str, label: str, belongs: Callable[[Path], bool] | None = None
) -> Layout[Sample]:
    roles = {"before": before, "after": after, "label": label}
    return Layout(
        card,
        partial(split_folders, roles=roles),
        partial(split_files, roles=roles),
        binary_sample,
        CHECKS,
        belongs or (lambda root: True),
    )


def _first_is(root: Path, side: int) -> bool:
    """Whether the first image is ``side`` px high: SYSU-CD and CLCD differ in nothing else."""
    for folder in sorted(root.glob("*/time1")):
        try:
            return shape_of(next(iter(images_of(folder).values())))[0] == side
        except InputError:
            continue
    return False


S2LOOKING = _layout(
    Card(
        name="s2looking",
        title="S2Looking",
        paper="Shen et al., 2021",
        url="https://github.com/S2Looking/Dataset",
        terms="none stated",
        labels="new and demolished buildings, seen from the side",
        layout="train, val and test, each with Image1, Image2 and label",
        splits=alike(1024, 1024, train=3500, val=500, test=1000),
        crops={"anychange": 512},
    ),
    "Image1",
    "Image2",
    "label",
)

SYSU_CD = _layout(
    Card(
        name="sysu-cd",
        title="SYSU-CD",
        paper="Shi et al., 2022",
        url="https://github.com/liumency/SYSU-CD",
        terms="none stated",
        labels="buildings, groundwork, vegetation, roads, work at sea",
        layout="train, val and test, each with time1, time2 and label, of 256 x 256 px",
        splits=alike(256, 256, train=12000, val=4000, test=4000),
        crops={"changeanywhere": 256},
    ),
    "time1",
    "time2",
    "label",
    partial(_first_is, side=256),
)

CLCD = _layout(
    Card(
        name="clcd",
        title="CLCD",
        paper="Liu et al., 2022",
        url="https://github.com/liumency/CropLand-CD",
        terms="none stated",
        labels="cropland that became something else",
        layout="train, val and test, each with time1, time2 and label, of 512 x 512 px",
        splits=alike(512, 512, train=360, val=120, test=120),
    ),
    "time1",
    "time2",
    "label",
    partial(_first_is, side=512),
)

DSIFN = _layout(
    Card(
        name="dsifn",
        title="DSIFN-CD",
        paper="Zhang et al., 2020",
        url="https://github.com/GeoZcx/A-deeply-supervised-image-fusion-network-for-change-"
        "detection-in-remote-sensing-images",
        terms="research, imagery of Google Earth",
        labels="all change of land cover, coarse outlines",
        layout="train, val and test, each with t1, t2 and mask",
        splits=alike(512, 512, train=3600, val=340, test=48),
    ),
    "t1",
    "t2",
    "mask",
)
