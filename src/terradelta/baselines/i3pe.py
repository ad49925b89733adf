"""I3PE: a change network that learns from single images, by exchanging patches within and between them.

Chen, Song, Wu, Du and Yokoya, "Exchange means change: an unsupervised single-temporal change detection
framework based on intra- and inter-image patch exchange", ISPRS Journal of Photogrammetry and Remote
Sensing 206, 2023. All images of a folder, of either date, are single images; pairs with known change
are made of them as they are needed (`i3pe_exchange`), and a siamese network (`i3pe_network`) learns to
tell that change, in both temporal orders, before it is shown the real pairs.

`PUBLISHED` are the settings of the authors' released code, for a GPU; the defaults fit a CPU. The
paper's further step, training once more on the network's own confident answers, is left out: its
unsupervised results do without it.
"""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from terradelta.baselines.answer import BaselineChanges
from terradelta.baselines.i3pe_exchange import PATCH_SIZES, MadePair, SingleDate, make_pair
from terradelta.baselines.i3pe_network import ChangeNetwork, build_network
from terradelta.baselines.learning import (
    check_counts,
    load_weights,
    minimise,
    save_weights,
)
from terradelta.baselines.patches import PairLikes, check_pairs, continued
from terradelta.errors import InputError, UsageError
from terradelta.geo.pair import ImageLike, load_pair
from terradelta.sam.device import usable_device
from terradelta.types import Progress, silent

PUBLISHED: dict[str, Any] = {"backbone": "resnet50", "steps": 30_000, "batch": 8, "size_px": 256}

LEARNING_RATE = 1e-4
WEIGHT_DECAY = 5e-4
THRESHOLD = 0.5
LEAST_PX = 2 * PATCH_SIZES[0]
CACHED_IMAGES = 256


class I3pe:
    """Change by a network that learned from exchanged patches.

    It learns from the images given to `fit`, else from the two of each pair anew.

    Args:
        backbone: a ResNet of timm by its name.
        pretrained: whether training begins with its ImageNet weights, as in the paper, or with random
            ones.
        steps: of training.
        batch: made pairs a step.
        size_px: side of the made pairs, at least 32.
        weights: a file written by `save` for the same backbone, instead of training.
        seed: of the weights and of all that is drawn.
        device: where the network runs.

    Raises:
        UsageError: a setting is out of range, or the device is not there.
        ModelError: the backbone is unknown, or weights cannot be had.
    """

    def __init__(
        self,
        *,
        backbone: str = "resnet18",
        pretrained: bool = True,
        steps: int = 100,
        batch: int = 4,
        size_px: int = 128,
        weights: str | Path | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        check_counts(steps=steps, batch=batch, size_px=size_px)
        if size_px < LEAST_PX:
            raise UsageError(f"size_px is {size_px}: two patches a side need at least {LEAST_PX}")
        self.backbone, self.pretrained, self.seed = backbone, pretrained, seed
        self.steps, self.batch, self.size_px = int(steps), int(batch), int(size_px)
        self.device = usable_device(device)
        self.trained_on = "the pair" if weights is None else str(weights)
        self._start = self._untrained(pretrained and weights is None)
        self._network: ChangeNetwork | None = None
        if weights is not None:
            load_weights(weights, self._start, self._about())
            self._network = self._start.eval().to(self.device)

    def fit(self, pairs: PairLikes, *, progress: Progress = silent) -> None:
        """Learn from the images of pairs, arrays or paths, once for all that is asked afterwards.

        Raises:
            UsageError: there are none. InputError: an image cannot be read, does not fit its partner,
                or is too small to exchange patches.
        """
        self._network = self._trained(pairs, progress)
        self.trained_on = f"{len(pairs)} pairs"

    def save(self, path: str | Path) -> None:
        """Write what was learned as safetensors.

        Raises:
            UsageError: nothing was learned yet. OutputError: the file cannot be written.
        """
        if self._network is None:
            raise UsageError("there is nothing to save: call fit first")
        save_weights(path, self._network, self._about())

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> BaselineChanges:
        """What changed between two images of one size, arrays or paths.

        The intensity is the probability of change.

        Raises:
            InputError: the images cannot be read, do not fit each other, or have to be learned from and
                are too small to exchange patches.
        """
        pair = load_pair(before, after)
        network = self._network or self._trained([(before, after)], progress)
        stride = network.backbone.strides[-1]
        images = [
            continued(torch.from_numpy(date).to(self.device), stride)
            for date in (pair.before, pair.after)
        ]
        height, width = pair.shape
        with torch.inference_mode():
            logits = network(*images)[0][0, :height, :width]
        probability = logits.sigmoid().cpu().numpy()
        return BaselineChanges.of_intensity(probability, pair, self.describe(), THRESHOLD)

    def describe(self) -> dict[str, Any]:
        return {
            "model": "i3pe",
            "backbone": self.backbone,
            "pretrained": self.pretrained,
            "trained_on": self.trained_on,
            "steps": self.steps,
            "batch": self.batch,
            "size_px": self.size_px,
            "seed": self.seed,
        }

    def _trained(self, pairs: PairLikes, progress: Progress) -> ChangeNetwork:
        images = _SingleDates(pairs, self.size_px)
        random = np.random.default_rng(self.seed)
        network = deepcopy(self._start).train().to(self.device)

        def loss() -> torch.Tensor:
            made = [images.make_pair(random) for _ in range(self.batch)]
            before = self._batch([pair.before for pair in made]).permute(0, 3, 1, 2)
            after = self._batch([pair.after for pair in made]).permute(0, 3, 1, 2)
            changed = self._batch([pair.changed for pair in made])
            valid = self._batch([pair.valid for pair in made])
            return sum(
                functional.binary_cross_entropy_with_logits(logits, changed, valid, reduction="sum")
                for logits in network(before, after)
            ) / valid.sum().clamp(min=1)

        optimizer = torch.optim.AdamW(
            network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY
        )
        minimise(loss, optimizer, self.steps, progress)
        return network.eval()

    def _batch(self, planes: list[NDArray[Any]]) -> torch.Tensor:
        return torch.from_numpy(np.stack(planes)).to(self.device).float()

    def _untrained(self, pretrained: bool) -> ChangeNetwork:
        return build_network(self.backbone, pretrained=pretrained, seed=self.seed)

    def _about(self) -> dict[str, str]:
        return {"model": "i3pe", "backbone": self.backbone}


class _SingleDates:
    """The images of pairs one by one, cut into objects when first needed; the last ones used are kept."""

    def __init__(self, pairs: PairLikes, size: int) -> None:
        check_pairs(pairs)
        self.pairs, self.size = pairs, size
        self.date = lru_cache(CACHED_IMAGES)(self._read)

    def make_pair(self, random: np.random.Generator) -> MadePair:
        one, other = (int(k) for k in random.integers(2 * len(self.pairs), size=2))
        return make_pair(self.date(one), self.date(other), self.size, random)

    def _read(self, number: int) -> SingleDate:
        index, later = divmod(number, 2)
        pair = load_pair(*self.pairs[index])
        height, width = pair.shape
        if min(height, width) < LEAST_PX:
            raise InputError(
                f"{pair.sources[later]} is {width} x {height} px: to exchange patches, a side must have "
                f"at least {LEAST_PX}"
            )
        return SingleDate.of(pair.after if later else pair.before, pair.valid, self.size)
