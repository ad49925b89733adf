"""DINOv2 (Oquab et al., 2023) as a feature encoder: one embedding for each patch of 14 px.

What AnyChange compares with as "DINOv2 + CVA" (appendix C.1), and what later work matches masks by.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import Dinov2Config, Dinov2Model

from terradelta.errors import ModelError, UsageError
from terradelta.features.registry import FeatureCard
from terradelta.sam.device import usable_device
from terradelta.sam.quiet import quiet_libraries
from terradelta.sam.registry import weights_folder
from terradelta.sam.segmenter import Axis, Embedding

PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)
"""Of ImageNet, for values in [0, 1]."""
TRAINED_PX, LARGEST_PX = 518, 1036


class Dinov2Features:
    """Patch tokens of a DINOv2 network on one device.

    Embeddings are demodulated as SAM's are: ``z = (token - b) / w`` undoes the affine part of the last
    LayerNorm, so that every cell has zero mean and unit variance over channels.

    Images are resampled to whole patches. The long side is ``long_side`` px, to the nearest patch; if
    it is not given, that of the image, but at least the 518 px of the last stage of the training
    (section 4 of the paper) and at most twice that, because the work of attention grows with its
    fourth power.

    The default angle of 35 degrees is that of DynamicEarth (Li et al., 2025), which matches SAM's masks
    by DINOv2; the object angle that of AnyChange's release. Both were chosen on embeddings that are not
    demodulated.
    """

    angle = 35.0
    object_angle = 60.0

    def __init__(
        self,
        network: Dinov2Model,
        *,
        name: str,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        long_side: int | None = None,
    ) -> None:
        self.name = name
        self.device = usable_device(device)
        self.dtype = dtype or torch.float32
        self.network = network.to(self.device)
        self.patch = int(network.config.patch_size)
        if long_side is not None and long_side < self.patch:
            raise UsageError(f"long side of {long_side} px: it must be at least {self.patch} px")
        self.long_side = long_side

    def networks(self) -> tuple[torch.nn.Module, ...]:
        return (self.network,)

    @torch.inference_mode()
    def encode(self, image: NDArray[np.uint8]) -> Embedding:
        height, width = image.shape[:2]
        rows, columns = self._cells(height, width)
        with self._autocast():
            output = self.network(self._pixels(image, (rows, columns)))
        tokens, norm = output.last_hidden_state[0, 1:].float(), self.network.layernorm
        z = (tokens - norm.bias) / norm.weight
        return Embedding(
            z.T.unflatten(1, (rows, columns)),
            Axis.half_pixel(height, rows / height, rows),
            Axis.half_pixel(width, columns / width, columns),
        )

    def _cells(self, height: int, width: int) -> tuple[int, int]:
        """Patches along y and x, at least one."""
        longest = max(height, width)
        target = self.long_side or min(max(longest, TRAINED_PX), LARGEST_PX)
        per_pixel = target / longest / self.patch
        return max(1, round(height * per_pixel)), max(1, round(width * per_pixel))

    def _pixels(self, image: NDArray[np.uint8], cells: tuple[int, int]) -> torch.Tensor:
        """float32 [1, 3, H', W'], resampled to whole patches and normalised."""
        size = cells[1] * self.patch, cells[0] * self.patch
        picture = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.array(picture)).to(self.device).permute(2, 0, 1) / 255
        mean, std = (
            torch.tensor(v, device=self.device)[:, None, None] for v in (PIXEL_MEAN, PIXEL_STD)
        )
        return ((pixels - mean) / std)[None]

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, self.dtype)


def load_named(name: str, card: FeatureCard) -> Dinov2Model:
    """A registered network: from the weights folder if it is there, else from the hub or its cache.

    Raises:
        ModelError: the weights are not on this machine and cannot be fetched.
    """
    local = weights_folder() / name
    if local.exists():
        return load_folder(local)
    try:
        return _from_pretrained(str(card.repository), revision=card.revision)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the weights of {name} ({card.megabytes} MB, {card.licence}) are neither on this "
            f"machine nor can the hub be reached. On a connected machine run `hf download "
            f"{card.repository} --revision {card.revision} --local-dir {name}` and copy the folder "
            f"to {local}"
        ) from error


def load_folder(path: Path) -> Dinov2Model:
    """A folder that transformers wrote.

    Raises:
        ModelError: it holds something else, or not all of it.
    """
    try:
        return _from_pretrained(str(path))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise ModelError(
            f"{path} is not a DINOv2 folder of transformers (config.json with model_type 'dinov2' "
            f"and model.safetensors): {reason}"
        ) from error


@quiet_libraries()
def _from_pretrained(source: str, **options: Any) -> Dinov2Model:
    config = Dinov2Config.from_pretrained(source, **options)
    if config.model_type != "dinov2":
        raise ValueError(f"its config.json is of a {config.model_type!r} model")
    model, report = Dinov2Model.from_pretrained(
        source, config=config, use_safetensors=True, output_loading_info=True, **options
    )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, the first is {missing[0]}")
    return model.eval()
