"""What an encoder of features is: an image in, a map of embeddings out, and how to read angles in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from terradelta.sam.segmenter import Embedding


class FeatureEncoder(Protocol):
    """Stateless. ``angle`` and ``object_angle`` (degrees) are what it is used with by default.

    ``angle``: masks that differ by more are changes. ``object_angle``: masks within it are the same
    kind of object as a click.
    """

    name: str
    angle: float
    object_angle: float
    device: torch.device
    dtype: torch.dtype

    def networks(self) -> tuple[torch.nn.Module, ...]:
        """All whose weights decide the embedding."""
        ...

    def encode(self, image: NDArray[np.uint8]) -> Embedding:
        """The embedding of a uint8 [H, W, 3] image, demodulated where a LayerNorm ends the network."""
        ...
