"""The others: torchange, and transformers' mask generation with plain matching."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional
from transformers import MaskGenerationPipeline, SamImageProcessor, SamModel

from terradelta.bench.clock import Seconds, Stopwatch
from terradelta.bench.settings import POINTS_PER_BATCH, Thresholds
from terradelta.bench.weights import missing_peer, original_network
from terradelta.errors import UsageError
from terradelta.geo.pair import Pair
from terradelta.sam.masks import FloatArray, IntArray, Masks
from terradelta.sam.proposals import MAX_AREA, box_nms, point_grid
from terradelta.sam.sam import resized_shape
from terradelta.zeroshot.changes import Changes


@dataclass(frozen=True, slots=True)
class Answer:
    """N changes: masks and their score, float32 [N], -cos(angle)."""

    masks: Masks
    score: FloatArray

    @classmethod
    def of(cls, changes: Changes) -> Answer:
        return cls(Masks.from_dense(changes.masks()), changes.score)


@dataclass(frozen=True, slots=True)
class PeerRun:
    """One run of a peer on some points: its answer and seconds.

    ``match_fixed`` are those seconds of ``seconds.match`` that do not depend on the number of masks;
    ``matched`` is how many masks of both dates were matched.
    """

    answer: Answer
    seconds: Seconds
    match_fixed: float
    matched: int


class Peer(ABC):
    """Something that answers as `AnyChange.detect` does, from the same weights and settings."""

    name: ClassVar[str]
    what: ClassVar[str]
    packages: ClassVar[tuple[str, ...]]

    @abstractmethod
    def run(self, pair: Pair) -> PeerRun:
        """All changes of a pair."""


def make_peer(
    name: str,
    network: SamModel,
    thresholds: Thresholds,
    per_side: int,
    points: IntArray,
    device: torch.device,
    dtype: torch.dtype,
) -> Peer:
    """A peer around the tensors of ``network``, which must be a plain one: see `plain_twin`.

    ``points`` int64 [P] are those of the n x n grid that it runs.

    Raises:
        ModelError: the peer is not installed. UsageError: it cannot run on the device.
    """
    kind = {peer.name: peer for peer in (Torchange, Transformers)}[name]
    return kind(network, thresholds, per_side, points, device, dtype)


class Torchange(Peer):
    """``AnyChange`` of torchange, called as its documentation does."""

    name = "torchange"
    what = "torchange's AnyChange, the authors' release"
    packages = ("torchange", "segment-anything", "opencv-python-headless")
    home = "torchange.models.segment_any_change"

    def __init__(
        self,
        network: SamModel,
        thresholds: Thresholds,
        per_side: int,
        points: IntArray,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        if device.type not in ("cpu", "cuda"):
            raise UsageError(f"torchange runs on cpu or cuda, not on {device.type}")
        try:
            package: Any = import_module(self.home)
            self._module: Any = import_module(f"{self.home}.anychange")
        except ImportError as error:
            raise missing_peer("torchange") from error
        self._device, self._dtype = device, dtype
        sam = original_network(f"{self.home}.segment_anything.modeling", network)
        registry = package.base.sam_model_registry
        registry[self.name] = lambda checkpoint: sam
        try:
            with _only_device(device):
                self._model = package.AnyChange(self.name, None)
        finally:
            del registry[self.name]
        unit_points = point_grid((1, 1), per_side)[points]
        self._model.make_mask_generator(
            points_per_side=None,
            point_grids=unit_points,
            points_per_batch=POINTS_PER_BATCH,
            pred_iou_thresh=thresholds.pred_iou,
            stability_score_thresh=thresholds.stability,
            box_nms_thresh=thresholds.nms,
        )
        self._model.set_hyperparameters(change_confidence_threshold=180 - thresholds.angle)

    def run(self, pair: Pair) -> PeerRun:
        model, module = self._model, self._module
        watch = Stopwatch(self._device)
        maskgen, rle_to_mask = model.maskgen, module.rle_to_mask
        encoder = maskgen.image_encoder
        loops: list[float] = []
        matches: list[float] = []
        matched = 0

        def first_notes_the_time(rle: Any) -> Any:
            nonlocal matched
            if not matched:
                loops.append(watch.now())
            matched += 1
            return rle_to_mask(rle)

        def notes_the_time(**data: Any) -> Any:
            matches.append(watch.now())
            return type(model).bitemporal_match(model, **data)

        maskgen.image_encoder = watch.timed("encode", encoder)
        model.bitemporal_match = notes_the_time
        module.rle_to_mask = first_notes_the_time
        try:
            with _autocast(self._device, self._dtype):
                started = watch.now()
                found = model(pair.before, pair.after)
                ended = watch.now()
        finally:
            module.rle_to_mask = rle_to_mask
            del maskgen.image_encoder, model.bitemporal_match
        encode = watch.seconds["encode"]
        return PeerRun(
            Answer(_from_counts(found["masks"], pair.shape), found["scores"].numpy()),
            Seconds(encode, matches[0] - started - encode, ended - matches[0]),
            match_fixed=(loops[0] if loops else ended) - matches[0],
            matched=matched,
        )


class Transformers(Peer):
    """The mask-generation pipeline for each date; it drops its embeddings, so matching encodes again."""

    name = "transformers"
    what = (
        "transformers' mask-generation pipeline for each date; then each date is encoded again, its "
        "demodulated embedding upsampled to the image, and averaged over one mask after the other"
    )
    packages = ("transformers",)

    def __init__(
        self,
        network: SamModel,
        thresholds: Thresholds,
        per_side: int,
        points: IntArray,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._device, self._dtype, self._thresholds = device, dtype, thresholds
        self._network = network
        self._canvas = int(network.config.vision_config.image_size)
        self._patch = int(network.config.vision_config.patch_size)
        square = {"height": self._canvas, "width": self._canvas}
        self._processor = SamImageProcessor(size={"longest_edge": self._canvas}, pad_size=square)
        whole_grid = self._processor.generate_crop_boxes

        def some_of_the_grid(*args: Any, **options: Any) -> Any:
            boxes, grid, crops, labels = whole_grid(*args, **options)
            return boxes, grid[:, points], crops, labels[:, points]

        self._processor.generate_crop_boxes = some_of_the_grid
        self._pipeline = MaskGenerationPipeline(
            model=self._network, image_processor=self._processor, device=device
        )
        self._options = {
            "points_per_crop": per_side,
            "points_per_batch": POINTS_PER_BATCH,
            "pred_iou_thresh": thresholds.pred_iou,
            "stability_score_thresh": thresholds.stability,
            "crops_nms_thresh": thresholds.nms,
        }

    def run(self, pair: Pair) -> PeerRun:
        from PIL import Image

        watch = Stopwatch(self._device)
        images = [Image.fromarray(image) for image in (pair.before, pair.after)]
        with self._encoder_timed(watch), _autocast(self._device, self._dtype), torch.no_grad():
            started = watch.now()
            dense = [
                mask.to(self._device)
                for image in images
                for mask in self._pipeline(image, **self._options)["masks"]
            ]
            proposed = watch.now() - watch.seconds["encode"]
            z = [self._embedding(image) for image in images]
            encoded = watch.now()
            before, after = (self._upsampled(cells, pair.shape) for cells in z)
            looped = watch.now()
            largest = MAX_AREA * pair.valid.size
            dense = [mask for mask in dense if mask.sum() < largest]
            score = torch.tensor([_plain_score(before, after, mask) for mask in dense])
            answer = self._select(dense, score, pair.shape)
            ended = watch.now()
        # What encoding again took beside the network itself (moving the image) counts as encoding.
        seconds = Seconds(encoded - proposed, proposed - started, ended - encoded)
        return PeerRun(answer, seconds, match_fixed=looped - encoded, matched=len(dense))

    @contextmanager
    def _encoder_timed(self, watch: Stopwatch) -> Iterator[None]:
        processor, network = self._processor, self._network
        processor.preprocess = watch.timed("encode", processor.preprocess)
        network.get_image_embeddings = watch.timed("encode", network.get_image_embeddings)
        try:
            yield
        finally:
            del processor.preprocess, network.get_image_embeddings

    def _embedding(self, image: Any) -> torch.Tensor:
        """Demodulated, float32 [1, C, s, s]."""
        pixels = self._processor(images=image, return_tensors="pt")["pixel_values"]
        modulated = self._network.get_image_embeddings(pixels.to(self._device)).float()
        norm = self._network.vision_encoder.neck.layer_norm2
        z: torch.Tensor = (modulated - norm.bias[:, None, None]) / norm.weight[:, None, None]
        return z

    def _upsampled(self, z: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
        """float32 [C, H, W]."""
        rows, columns = (-(-n // self._patch) for n in resized_shape(shape, self._canvas))
        return functional.interpolate(z[..., :rows, :columns], shape, mode="bilinear")[0]

    def _select(self, dense: list[Any], score: torch.Tensor, shape: tuple[int, int]) -> Answer:
        least = -np.cos(np.radians(self._thresholds.angle))
        kept = [n for n in range(len(dense)) if score[n] > least]
        if not kept:
            return Answer(Masks.empty(shape), np.zeros(0, np.float32))
        masks = Masks.from_dense(torch.stack([dense[n] for n in kept]))
        ranked = score[kept].numpy().astype(np.float32)
        first = box_nms(masks.boxes, ranked, self._thresholds.nms)
        return Answer(masks[first], ranked[first])


def _plain_score(before: torch.Tensor, after: torch.Tensor, mask: torch.Tensor) -> float:
    means = before[:, mask].mean(1), after[:, mask].mean(1)
    return -float(torch.cosine_similarity(*means, dim=0))


def _from_counts(rles: list[dict[str, Any]], shape: tuple[int, int]) -> Masks:
    """Masks of uncompressed COCO run lengths, which begin with a run of background."""
    flat = np.zeros((len(rles), shape[0] * shape[1]), bool)
    for row, rle in zip(flat, rles, strict=True):
        counts = np.asarray(rle["counts"])
        row[:] = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return Masks.from_dense(flat.reshape(-1, shape[1], shape[0]).transpose(0, 2, 1))


def _autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


@contextmanager
def _only_device(device: torch.device) -> Iterator[None]:
    """torchange takes the GPU wherever there is one: it is told there is none if the CPU is meant."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            yield
        return
    available = torch.cuda.is_available
    torch.cuda.is_available = lambda: False
    try:
        yield
    finally:
        torch.cuda.is_available = available
