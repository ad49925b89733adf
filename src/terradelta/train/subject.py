"""What is trained: a detector, a ChangeStar on single dates, or an oracle; the loop is one for all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from terradelta.detectors import Detector, build_detector, normalise, save_detector
from terradelta.detectors.changestar import ChangeStar
from terradelta.detectors.detector import Criterion
from terradelta.train.losses import IGNORED, criterion
from terradelta.train.settings import ORACLE, TrainSettings
from terradelta.train.star import StarObjective

if TYPE_CHECKING:
    from terradelta.oracle.network import OracleNetwork


class PairObjective(nn.Module):
    """A detector with its loss as one module: gradients are shared where a module's forward is called."""

    def __init__(self, detector: Detector, criterion: Criterion | None) -> None:
        super().__init__()
        self.detector, self.criterion = detector, criterion

    def forward(self, before: Tensor, after: Tensor, label: Tensor) -> Tensor:
        """The loss of uint8 [B, 3, H, W] twice and their label [B, H, W].

        A detector's own loss knows no ignored pixels. Where a date has no image both are filled alike,
        and that counts as no change.
        """
        if self.criterion is None:
            label = label.float().where(label != IGNORED, 0.0)
        return self.detector.loss(normalise(before), normalise(after), label, self.criterion)


def build_subject(settings: TrainSettings) -> Detector:
    """The network of the settings with new weights, which torch's generator decides.

    Raises:
        ModelError: unknown backbone, or weights that cannot be had.
    """
    if settings.detector == ORACLE:
        from terradelta.oracle.lora import Lora
        from terradelta.oracle.network import build_oracle

        lora = Lora(**settings.lora.model_dump()) if settings.lora else Lora()
        return build_oracle(str(settings.segmenter), lora)
    objects = {"semantic": 1} if settings.labels == "objects" else {}
    return build_detector(
        settings.detector, classes=settings.classes, pretrained=settings.pretrained, **objects
    )


def objective_of(settings: TrainSettings, detector: Detector) -> nn.Module:
    """From uint8 images and a label to the loss."""
    loss = criterion(settings.loss.terms, settings.loss.smoothing)
    if settings.labels == "objects" and isinstance(detector, ChangeStar) and loss is not None:
        return StarObjective(detector, loss)
    return PairObjective(detector, loss)


def save_subject(detector: Detector, folder: Path, extra: Mapping[str, Any]) -> None:
    """Write it so that `load_detector` or `load_oracle` reads it.

    Raises:
        OutputError: it cannot be written.
    """
    if detector.name == ORACLE:
        from terradelta.oracle.files import save_oracle

        save_oracle(cast("OracleNetwork", detector), folder, extra)
    else:
        save_detector(detector, folder, extra)


def learnt_state(detector: Detector) -> dict[str, Tensor]:
    """All of its state but the parameters that training leaves as they were built."""
    frozen = {name for name, weight in detector.named_parameters() if not weight.requires_grad}
    return {name: value for name, value in detector.state_dict().items() if name not in frozen}


def parameter_counts(detector: Detector) -> tuple[int, int]:
    """How many numbers training changes, and how many the network has."""
    counts = [(weight.requires_grad, weight.numel()) for weight in detector.parameters()]
    return sum(count for trained, count in counts if trained), sum(count for _, count in counts)
