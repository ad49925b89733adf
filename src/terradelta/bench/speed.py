"""The measurement: ours, peer, ours, peer ... in one process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from transformers import SamModel

from terradelta.bench.agreement import Agreement, compare
from terradelta.bench.clock import STAGES, Seconds, measured_peak
from terradelta.bench.ours import compat_of, run_ours
from terradelta.bench.peers import Answer, make_peer
from terradelta.bench.random_weights import random_network
from terradelta.bench.settings import Protocol, Thresholds
from terradelta.bench.weights import load_network, plain_twin
from terradelta.errors import UsageError
from terradelta.geo.pair import ImageLike, Pair, load_pair
from terradelta.sam.allocator import give_back_freed_memory, keep_freed_memory
from terradelta.sam.sam import SamSegmenter
from terradelta.types import Progress, silent

SCENE_SEED = 4


@dataclass(frozen=True, slots=True)
class Ratio:
    """Peer seconds over ours: the median over the repeats, the smallest and the largest."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, ours: Sequence[float], peer: Sequence[float]) -> Ratio:
        """Each run of ours against the peer's run that followed it."""
        ratios = [theirs / own for own, theirs in zip(ours, peer, strict=True)]
        return cls(median(ratios), min(ratios), max(ratios))


@dataclass(frozen=True, slots=True)
class Scaling:
    """From the part of the grid that the peer ran to all of it: points, and masks that were matched."""

    points_run: int
    points_all: int
    masks_run: int
    masks_all: int

    @property
    def whole(self) -> bool:
        return self.points_run == self.points_all

    def apply(self, seconds: Seconds, match_fixed: float) -> Seconds:
        """Proposing by points, matching by masks but for ``match_fixed`` seconds of it."""
        if self.whole:
            return seconds
        by_mask = self.masks_all / self.masks_run if self.masks_run else 1.0
        return Seconds(
            seconds.encode,
            seconds.propose * self.points_all / self.points_run,
            match_fixed + (seconds.match - match_fixed) * by_mask,
        )


@dataclass(frozen=True, slots=True)
class Measurement:
    """Everything measured. ``peer`` holds scaled seconds, ``peer_measured`` those of the real runs.

    ``peak_bytes`` is of our first run, before the peer's first; None where it cannot be measured.
    """

    protocol: Protocol
    shape: tuple[int, int]
    thresholds: Thresholds
    ours: list[Seconds]
    peer: list[Seconds]
    peer_measured: list[Seconds]
    scaling: Scaling
    peak_bytes: int | None
    agreement: Agreement
    peer_what: str
    packages: tuple[str, ...]

    @property
    def speedup(self) -> Ratio:
        return Ratio.of([s.total for s in self.ours], [s.total for s in self.peer])

    @property
    def speedup_by_stage(self) -> dict[str, Ratio]:
        return {
            stage: Ratio.of(*([getattr(s, stage) for s in side] for side in (self.ours, self.peer)))
            for stage in STAGES
        }


def measure(
    protocol: Protocol,
    images: tuple[ImageLike, ImageLike] | None = None,
    progress: Progress = silent,
) -> Measurement:
    """Run the protocol on two images, by default a made scene of the size of the canvas.

    Raises:
        UsageError: unknown device, or images that the peer cannot take. ModelError: the peer or the
        weights cannot be had. InputError: the images cannot be read.
    """
    total = 2 * protocol.repeats + 3
    progress("making weights and images", 0, total)
    device, dtype = _device(protocol.device), getattr(torch, protocol.dtype)
    network = _network(protocol)
    network.to(device)
    plain = plain_twin(network)
    pair = _pair(images, int(network.config.vision_config.image_size))
    segmenter = SamSegmenter(network, name=_name(protocol), device=device, dtype=dtype)
    progress("choosing thresholds", 1, total)
    random = protocol.model is None
    thresholds = Thresholds.calibrated(segmenter, pair) if random else Thresholds.of(segmenter)
    side, points = protocol.points_per_side, protocol.peer_points
    compat = compat_of(protocol.against)
    peer = make_peer(protocol.against, plain, thresholds, side, points, device, dtype)
    if device.type == "cuda":
        progress("warming up", 1, total)
        run_ours(segmenter, pair, thresholds, side, compat=compat)
        peer.run(pair)
    ours, runs, peaks = [], [], []
    for repeat in range(protocol.repeats):
        progress("terradelta", 2 + 2 * repeat, total)
        keep_freed_memory()
        with measured_peak(device) as peak:
            ours.append(run_ours(segmenter, pair, thresholds, side, compat=compat))
        progress(protocol.against, 3 + 2 * repeat, total)
        give_back_freed_memory()
        runs.append(peer.run(pair))
        peaks.append(peak.bytes)
    progress("comparing", total - 1, total)
    keep_freed_memory()
    mine = run_ours(segmenter, pair, thresholds, side, compat=compat, points=points)
    scaling = Scaling(len(points), protocol.points, runs[-1].matched, ours[-1].matched)
    progress("comparing", total, total)
    return Measurement(
        protocol=protocol,
        shape=pair.shape,
        thresholds=thresholds,
        ours=[run.seconds for run in ours],
        peer=[scaling.apply(run.seconds, run.match_fixed) for run in runs],
        peer_measured=[run.seconds for run in runs],
        scaling=scaling,
        peak_bytes=peaks[0],
        agreement=compare(Answer.of(mine.changes), runs[-1].answer, len(points)),
        peer_what=peer.what,
        packages=peer.packages,
    )


def _network(protocol: Protocol) -> SamModel:
    if protocol.model is None:
        return random_network(protocol.size)
    return load_network(protocol.model)


def _pair(images: tuple[ImageLike, ImageLike] | None, canvas_px: int) -> Pair:
    if images is not None:
        return load_pair(*images)
    from terradelta.synth import make_scene

    scene = make_scene(canvas_px, seed=SCENE_SEED)
    return load_pair(scene.before, scene.after)


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name!r}: use cpu, cuda or mps") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {name!r} is not available on this machine; use 'cpu'")
    if device.index is not None and device.type == "cuda":
        torch.cuda.set_device(device)
    return device


def _name(protocol: Protocol) -> str:
    return protocol.model or f"random {protocol.size}"
