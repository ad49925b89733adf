"""What the parts of the package agree on: progress, what a model of change is, what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from terradelta.geo.pair import ImageLike, Pair

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many steps of all are done, and of how many."""


def silent(stage: str, done: int, total: int) -> None:
    """The progress of nobody who watches."""


class Answer(Protocol):
    """What changed in one pair [H, W], as objects and as pixels."""

    @property
    def pair(self) -> Pair: ...

    @property
    def rles(self) -> list[dict[str, Any]]:
        """The N objects as COCO run-length masks."""
        ...

    @property
    def score(self) -> NDArray[np.float32]:
        """float32 [N], larger is more changed; the unit is the model's."""
        ...

    def __len__(self) -> int: ...

    def to_mask(self) -> NDArray[np.bool_]:
        """bool [H, W], True where changed."""
        ...

    def score_image(self) -> NDArray[np.float32]:
        """float32 [H, W] in the unit of ``score``, of which `to_mask` is where it is large."""
        ...


class ChangeModel(Protocol):
    """Anything that finds what changed in a pair: AnyChange, a baseline, a detector."""

    def detect(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> Answer: ...

    def describe(self) -> dict[str, Any]:
        """The settings that decide the answer, as JSON values, ``model`` among them."""
        ...


class FolderModel(ChangeModel, Protocol):
    """A model that first learns, without labels, from the pairs that it will be asked about."""

    def fit(
        self, pairs: Sequence[tuple[ImageLike, ImageLike]], *, progress: Progress = silent
    ) -> None: ...
