"""The change score network: from SAM's embeddings of two dates, how sure change is.

AnyChange's appendix C.1 gives its layers: an MLP block (Linear, LayerNorm, GELU, Linear, LayerNorm), a
block that enlarges by 4 (ConvTranspose, LayerNorm, GELU, ConvTranspose, Linear, LayerNorm, Linear,
LayerNorm), and a linear layer that predicts the score. Open are

* the widths: here C in the MLP block, then C / 4 and C / 8, those of the same two transposed
  convolutions in SAM's mask decoder;
* how two dates meet: here both pass the blocks with the same weights, and the linear layer reads the
  absolute difference of what comes out. So the order of the dates does not matter, as in AnyChange, and
  what is compared may be the mean over a mask as well as a single cell;
* where the score stands: "instead of our negative cosine similarity". Its chance p of change becomes
  2 p - 1, in [-1, 1] as that is, so that thresholds stay angles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from terradelta.sam.masks import FloatArray

ENLARGED = 4


class ScoreNetwork(nn.Module):
    """For embeddings of ``channels``, a multiple of 8."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle, last = channels // 4, channels // 8
        self.mlp = nn.Sequential(
            nn.Linear(channels, channels),
            nn.LayerNorm(channels),
            nn.GELU(),
            nn.Linear(channels, channels),
            nn.LayerNorm(channels),
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(given, made, 2, stride=2)
            for given, made in ((channels, middle), (middle, last))
        )
        self.between = nn.Sequential(nn.LayerNorm(middle), nn.GELU())
        self.finish = nn.Sequential(
            nn.Linear(last, last), nn.LayerNorm(last), nn.Linear(last, last), nn.LayerNorm(last)
        )
        self.score = nn.Linear(last, 1)

    def features(self, z: Tensor) -> Tensor:
        """Demodulated embeddings [B, C, h, w] to what is compared, [B, C / 8, 4 h, 4 w]."""
        x = _last_to_second(self.mlp(_second_to_last(z)))
        x = _last_to_second(self.between(_second_to_last(self.enlarge[0](x))))
        return _last_to_second(self.finish(_second_to_last(self.enlarge[1](x))))

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Logits of change [B, 1, h, w] of two maps of `features`."""
        return _last_to_second(self.score(_second_to_last((before - after).abs())))

    def angles(self, before: NDArray[np.float64], after: NDArray[np.float64]) -> FloatArray:
        """float32 [N], degrees: the angle whose negative cosine is the score of two means [N, C / 8].

        ``acos(1 - 2 p) = 2 atan(exp(l / 2))`` for the logit l of p, 90 where p is one half.
        """
        weight, bias = (_as_array(value) for value in (self.score.weight, self.score.bias))
        logits = (np.abs(before - after) @ weight.T + bias)[:, 0]
        ratio = np.exp(np.clip(logits / 2, -80, 80))
        return np.asarray(np.degrees(2 * np.arctan(ratio)), np.float32)


def _second_to_last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def _last_to_second(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def _as_array(value: Tensor) -> NDArray[Any]:
    return value.detach().cpu().double().numpy()
