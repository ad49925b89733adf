"""Augmentation of a pair: both dates and the label are moved by one draw, each date is lit by its own.

Crop, flip, rotation, scale jitter, and brightness and contrast date by date, as AnyChange's appendix C.2
lists them. It gives no numbers; the recipes take those of ChangeStar's released configuration, which also
settles what rotation is: by quarter turns, so that no label is interpolated and no corner is empty.

All draws come from torch's generator: seed it for the same ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from terradelta.train.pairs import LabelledPair
from terradelta.train.settings import AugmentSettings

TensorPair = tuple[Tensor, Tensor, Tensor]

BILINEAR, NEAREST_EXACT = v2.InterpolationMode.BILINEAR, v2.InterpolationMode.NEAREST_EXACT


class Augmentation:
    """Draws and applies one augmentation per call."""

    def __init__(self, settings: AugmentSettings) -> None:
        self._move = v2.Compose(
            [
                ScaledCrop(settings.crop, settings.scale),
                Symmetry(flip=settings.flip, rotate=settings.rotate),
            ]
        )
        self._light = v2.ColorJitter(settings.brightness, settings.contrast)
        self._swap = settings.swap

    def __call__(self, pair: LabelledPair) -> TensorPair:
        """uint8 [3, crop, crop] twice and the label [crop, crop] in its own dtype."""
        images, label = pair[:2], torch.from_numpy(np.ascontiguousarray(pair[2]))
        dates = [tv_tensors.Image(as_tensor(image)) for image in images]
        before, after, mask = self._move(*dates, tv_tensors.Mask(label[None]))
        before, after = self._light(before), self._light(after)
        if self._swap and torch.rand(()) < 0.5:
            before, after = after, before
        plain = [moved.as_subclass(Tensor).contiguous() for moved in (before, after, mask)]
        return plain[0], plain[1], plain[2][0]


class ScaledCrop(v2.Transform):
    """A random square of the image, shown in ``crop`` px: enlarged by a factor drawn from ``scale``.

    The square is never larger than the image: where the image is too small for the factor drawn, the
    largest square that fits is taken.
    """

    def __init__(self, crop: int, scale: tuple[float, float]) -> None:
        super().__init__()
        self.crop, self.scale = crop, scale

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = flat_inputs[0].shape[-2:]
        low, high = self.scale
        factor = low + (high - low) * float(torch.rand(()))
        side = max(1, min(round(self.crop / factor), height, width))
        top, left = (int(torch.randint(size - side + 1, ())) for size in (height, width))
        return {"top": top, "left": left, "height": side, "width": side}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Bilinear; a label by its nearest pixel, which torchvision's way for masks misses by half."""
        mask = isinstance(inpt, tv_tensors.Mask)
        moved = functional.resized_crop(
            inpt.as_subclass(Tensor),
            **params,
            size=[self.crop, self.crop],
            interpolation=NEAREST_EXACT if mask else BILINEAR,
        )
        return tv_tensors.wrap(moved, like=inpt)


class Symmetry(v2.Transform):
    """One of the square's symmetries, each as likely: four turns, mirrored or not."""

    def __init__(self, *, flip: bool, rotate: bool) -> None:
        super().__init__()
        self.flip, self.rotate = flip, rotate

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        turns, mirrored, upended = (int(torch.randint(n, ())) for n in (4, 2, 2))
        axes = [axis for axis, drawn in ((-1, mirrored), (-2, upended)) if drawn and self.flip]
        return {"turns": turns if self.rotate else 0, "axes": axes}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        moved = torch.rot90(inpt.as_subclass(Tensor), params["turns"], (-2, -1))
        return tv_tensors.wrap(moved.flip(params["axes"]), like=inpt)


def as_tensor(image: np.ndarray[Any, np.dtype[np.uint8]]) -> Tensor:
    """uint8 [H, W, 3] as a tensor [3, H, W]."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
