"""What a detector is: two dates of any size in, change logits of that size out.

A family of networks is a subclass with one method, `Detector.logits`, which may rely on sides that
are multiples of ``multiple``. Padding, cropping and the loss are here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terradelta.errors import UsageError

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Logits float [B, classes, H, W] and their label [B, H, W] to one number, the mean loss."""


class Detector(nn.Module):
    """A network that tells where two images of one place differ.

    ``name`` and ``settings`` (JSON values) rebuild it by `build_detector`, which sets them. ``classes``
    is 1 for change or no change (a logit above 0 is change), or K kinds, of which 0 is no change.

    Class attributes: ``multiple``, of what the network needs both sides to be a multiple;
    ``symmetric``, whether swapping the dates leaves the answer of `forward` as it is.
    """

    multiple = 1
    symmetric = False

    def __init__(self, classes: int = 1) -> None:
        super().__init__()
        if classes < 1:
            raise UsageError(f"classes is {classes}: a detector tells at least 1")
        self.classes = classes
        self.name = type(self).__name__
        self.settings: dict[str, Any] = {"classes": classes}

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Change logits [B, classes, H, W] of two float32 [B, 3, H, W] from `normalise`.

        Raises:
            UsageError: not two batches of RGB images of one size.
        """
        height, width = before.shape[-2:]
        logits = self.logits(*self._padded(before, after))
        return logits[..., :height, :width]

    def training_outputs(self, before: Tensor, after: Tensor) -> list[tuple[Tensor, float]]:
        """All logits [B, classes, H, W] that are compared with the label, each with its weight.

        The first are those of `forward`. Same arguments and errors.
        """
        height, width = before.shape[-2:]
        outputs = self.weighted_logits(*self._padded(before, after))
        return [(logits[..., :height, :width], weight) for logits, weight in outputs]

    def loss(
        self, before: Tensor, after: Tensor, label: Tensor, criterion: Criterion | None
    ) -> Tensor:
        """One number to make small: the criterion of each of `training_outputs`, weighted and added.

        Without a criterion, the network's own loss, if its paper has one.

        Args:
            before, after: float32 [B, 3, H, W].
            label: float32 [B, H, W] in [0, 1], or int64 class ids, as the criterion wants it.
            criterion: of one logits map.

        Raises:
            UsageError: no criterion for a network that has no loss of its own.
        """
        if criterion is None:
            raise UsageError(f"{self.name} has no loss of its own: choose one, such as bce")
        outputs = self.training_outputs(before, after)
        return torch.stack([weight * criterion(logits, label) for logits, weight in outputs]).sum()

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        """For subclasses: [B, classes, H, W] of images with sides that are multiples of ``multiple``."""
        raise NotImplementedError

    def weighted_logits(self, before: Tensor, after: Tensor) -> list[tuple[Tensor, float]]:
        """For subclasses with more than one output in training; the main one comes first."""
        return [(self.logits(before, after), 1.0)]

    def _padded(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        _check_pair(before, after)
        return mirrored(before, self.multiple), mirrored(after, self.multiple)


def mirrored(images: Tensor, multiple: int) -> Tensor:
    """[..., H, W] continued at the bottom and right up to multiples of ``multiple``.

    By mirroring at the edges, again and again where the image is smaller than what is missing, so that
    one pixel is repeated.
    """
    for axis in (-2, -1):
        size = images.shape[axis]
        missing = -size % multiple
        if missing:
            steps = torch.arange(size + missing, device=images.device) % (2 * size)
            images = images.index_select(axis, torch.minimum(steps, 2 * size - 1 - steps))
    return images


def enlarged(features: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """[B, C, h, w] to that height and width, bilinear.

    By the half-pixel convention, also where released code aligns corners: then where a pixel lies in the
    features does not depend on how large the image around it is.
    """
    return functional.interpolate(features, size=tuple(size), mode="bilinear", align_corners=False)


def _check_pair(before: Tensor, after: Tensor) -> None:
    shapes = [tuple(images.shape) for images in (before, after)]
    if len(set(shapes)) > 1 or before.dim() != 4 or before.shape[1] != 3 or 0 in before.shape:
        raise UsageError(
            f"a detector takes two batches of images [B, 3, H, W] of one size, got {shapes[0]} "
            f"and {shapes[1]}"
        )
    if not before.is_floating_point() or not after.is_floating_point():
        raise UsageError("a detector takes float images: bring uint8 ones through `normalise`")
