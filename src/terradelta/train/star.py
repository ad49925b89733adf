"""STAR, single-temporal supervised learning: change learnt from labelled images of single dates.

Zheng, Ma, Zhang and Zhong, "Change is everywhere: single-temporal supervised object change detection in
remote sensing imagery", ICCV 2021. The images of a batch are shuffled, and each is taken as
the earlier date of the image that stands in its place: it does not matter that they show two places.
Changed is what is an object in one of the two and not in the other, the exclusive or of their labels.
The loss is that of the objects of each image and that of the change, added.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from terradelta.detectors import normalise
from terradelta.detectors.changestar import ChangeStar
from terradelta.detectors.detector import Criterion
from terradelta.train.losses import IGNORED


class StarObjective(nn.Module):
    """A ChangeStar built with ``semantic=1``, and its loss on a batch of single dates."""

    def __init__(self, detector: ChangeStar, criterion: Criterion) -> None:
        super().__init__()
        self.detector, self.criterion = detector, criterion

    def forward(self, images: Tensor, _: Tensor, label: Tensor) -> Tensor:
        """The loss of uint8 [B, 3, H, W] and their objects [B, H, W], as `SingleDates` gives them."""
        partner = partners(len(images)).to(images.device)
        objects, change = self.detector.objects_and_change(normalise(images), partner)
        changed = exclusive_or(label, label[partner])
        return self.criterion(objects, label) + self.criterion(change, changed)


def partners(count: int) -> Tensor:
    """For each of so many images its other date, int64 [count]: every image is one once.

    Drawn from torch's generator. None is its own, unless it is alone: each is followed by the next of
    a random round. The paper's shuffling leaves an image in its place now and then, a pair without
    any change.
    """
    around = torch.randperm(count)
    partner = torch.empty_like(around)
    partner[around] = around.roll(-1)
    return partner


def exclusive_or(label: Tensor, other: Tensor) -> Tensor:
    """1 where one of two labels in {0, 1} is 1 and the other 0; 255 where either is."""
    known = (label != IGNORED) & (other != IGNORED)
    return (label != other).float().where(known, float(IGNORED))
