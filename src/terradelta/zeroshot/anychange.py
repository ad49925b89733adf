"""AnyChange: zero-shot change detection with any promptable segmenter, training-free.

Zheng, Zhong, Zhang and Ermon, "Segment Any Change", NeurIPS 2024.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from terradelta.errors import UsageError
from terradelta.features import FeatureEncoder, load_features
from terradelta.features.segmenter import WithFeatures
from terradelta.geo.pair import ImageLike, Pair, load_pair
from terradelta.sam.proposals import APPROXIMATIONS, ProposalSettings
from terradelta.sam.registry import load_segmenter
from terradelta.sam.segmenter import Segmenter
from terradelta.types import Progress, silent
from terradelta.zeroshot.candidates import Measure, search
from terradelta.zeroshot.changes import Changes
from terradelta.zeroshot.matching import angles_between
from terradelta.zeroshot.query import ClickLike, parse_clicks
from terradelta.zeroshot.session import Session
from terradelta.zeroshot.thresholds import check_choice

if TYPE_CHECKING:
    import torch

    from terradelta.zeroshot.compat import TorchangeSession

_PAPER = {"points_per_side": 64, "pred_iou": 0.5, "stability": 0.8, "nms": 0.7, "angle": 25.0}
PRESETS: dict[str, dict[str, float]] = {
    "default": {},
    "paper": _PAPER,
    "paper-xview2": {**_PAPER, "stability": 0.95},
}
"""Settings that override a segmenter's own: those of the paper's appendix C.1 for SAM."""

MAX_POINTS_PER_SIDE = 1024
MAX_UPSCALE = 8
WHOLE_NUMBERS = ("points_per_side", "min_region_area", "upscale")


class AnyChange:
    """Finds changes between two images of the same place.

    Stateless: no call leaves a trace in the next.

    Args:
        model: a name of `terradelta.MODELS` (``"regions"``, ``"sam-vit-b"``, ...), the path of SAM
            weights, or a loaded segmenter.
        features: match masks in another embedding than the segmenter's: a name of
            `terradelta.features.FEATURES` (``"dinov2-b"``, ``"sam-key"``, ...), the path of DINOv2
            weights, or a loaded encoder. The default angles are then the encoder's, whatever the
            preset: the paper's is one of SAM's embedding.
        preset: ``"default"``, the segmenter's own settings; ``"paper"``, those of the paper's
            experiments with SAM; ``"paper-xview2"``, the same with its stricter stability.
        points_per_side: n of the n x n grid of points that are segmented.
        pred_iou: masks with a predicted IoU of at most this are dropped.
        stability: masks with a stability below this are dropped.
        nms: of masks whose boxes overlap by more than this IoU only the best is kept.
        min_region_area: islands and holes of a mask smaller than this many pixels are dropped; 0
            keeps all.
        upscale: whole factor by which the images are enlarged to find tiny changes (appendix F).
        device: where the network runs: ``"cpu"``, ``"cuda"``, ``"mps"``.
        dtype: dtype of its matrix products, e.g. ``torch.bfloat16``; float32 by default.
        approximate: ``"grid"`` and ``"stability"`` trade exactness for speed; see `docs/speed.md`.
        compat: ``"torchange"`` reproduces every choice of torchange 0.0.4, the authors' release, on
            square images; for comparisons only.

    Raises:
        UsageError: a setting is out of range. ModelError: the weights cannot be had.
    """

    def __init__(
        self,
        model: str | Segmenter = "regions",
        *,
        features: str | FeatureEncoder | None = None,
        preset: str = "default",
        points_per_side: int | None = None,
        pred_iou: float | None = None,
        stability: float | None = None,
        nms: float | None = None,
        min_region_area: int = 0,
        upscale: int = 1,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        approximate: Sequence[str] = (),
        compat: str | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise UsageError(f"unknown preset {preset!r}: choose from {', '.join(PRESETS)}")
        if compat not in (None, "torchange"):
            raise UsageError(f"unknown compat {compat!r}: the only one is 'torchange'")
        if compat and features is not None:
            raise UsageError(f"compat={compat!r} matches in SAM's embedding: leave out features")
        unknown = sorted(set(approximate) - set(APPROXIMATIONS))
        if isinstance(approximate, str) or unknown:
            raise UsageError(
                f"unknown approximation {unknown or approximate!r}: give a list of "
                f"{', '.join(APPROXIMATIONS)}"
            )
        given = {
            "points_per_side": points_per_side,
            "pred_iou": pred_iou,
            "stability": stability,
            "nms": nms,
        }
        given = {name: value for name, value in given.items() if value is not None}
        _check_ranges(given, min_region_area, upscale)
        if isinstance(model, str):
            model = load_segmenter(model, device=device, dtype=dtype)
        if isinstance(features, str):
            features = load_features(features, device=device, dtype=dtype, segmenter=model)
        self.features = features
        self.segmenter = model if features is None else WithFeatures(model, features)
        self.measure: Measure = angles_between
        self.preset = preset
        chosen: dict[str, Any] = {**asdict(model.defaults), **PRESETS[preset], **given}
        self.angle = float(chosen["angle"] if features is None else features.angle)
        self.upscale = upscale
        self.compat = compat
        self.settings = ProposalSettings(
            points_per_side=int(chosen["points_per_side"]),
            pred_iou=chosen["pred_iou"],
            stability=chosen["stability"],
            nms=chosen["nms"],
            min_region_area=min_region_area,
            approximate=tuple(sorted(set(approximate))),
        )

    def __repr__(self) -> str:
        return f"AnyChange({self.segmenter.name!r}, preset={self.preset!r}, angle={self.angle:g})"

    def detect(
        self,
        before: ImageLike,
        after: ImageLike,
        *,
        angle: float | None = None,
        threshold: str | None = None,
        top_k: int | None = None,
        progress: Progress = silent,
    ) -> Changes:
        """All changes between two images.

        Args:
            before: uint8 [H, W, 3], or the path of an image; see `terradelta.geo.pair.load_pair` for
                other types.
            after: the same place later, on the same pixel grid.
            angle: a change is a mask whose two embeddings differ by more than this many degrees.
                The paper's threshold T is 180 minus it (155 is 25). The segmenter's own by default.
            threshold: ``"otsu"`` to choose the angle from the pair.
            top_k: keep the k largest angles instead.
            progress: called with (stage, steps done, steps in all).

        Raises:
            InputError: the images cannot be read or do not fit each other.
            UsageError: the threshold is out of range or given twice.
        """
        check_choice(angle, threshold, top_k)
        session = self._open(load_pair(before, after), progress)
        return session.detect(angle=angle, threshold=threshold, top_k=top_k)

    def query(
        self,
        before: ImageLike,
        after: ImageLike,
        points: Sequence[ClickLike],
        *,
        object_angle: float | None = None,
        angle: float | None = None,
        threshold: str | None = None,
        top_k: int | None = None,
        progress: Progress = silent,
    ) -> Changes:
        """Changes of the kind of object that was clicked: it appeared, vanished or was replaced.

        Args:
            points: clicks (x, y, "before" or "after") in pixels, origin top left, on objects of one
                kind; the mean of their embeddings is the query (section 3.4).
            object_angle: a change is kept if its embedding in either date is within this many
                degrees of the query. The segmenter's own by default.

        The other arguments are those of `detect`.

        Raises:
            QueryError: a click is malformed, lies outside the image or gives no mask.
        """
        check_choice(angle, threshold, top_k)
        pair = load_pair(before, after)
        clicks = parse_clicks(points, pair.shape)
        return self._open(pair, progress).query(
            clicks, object_angle=object_angle, angle=angle, threshold=threshold, top_k=top_k
        )

    @contextmanager
    def session(
        self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
    ) -> Iterator[Session | TorchangeSession]:
        """Encode and propose once, then ask for changes or click as often as needed."""
        yield self._open(load_pair(before, after), progress)

    def _open(self, pair: Pair, progress: Progress) -> Session | TorchangeSession:
        if self.compat == "torchange":
            from terradelta.zeroshot.compat import TorchangeSession

            return TorchangeSession(self.segmenter, pair, self.settings, self.angle)
        found = search(
            self.segmenter, pair, self.settings, self.upscale, progress, measure=self.measure
        )
        return Session(self.segmenter, pair, found, self.angle, self.describe())

    def describe(self) -> dict[str, Any]:
        return {
            "model": self.segmenter.name,
            "canvas_px": self.segmenter.canvas_px,
            "features": self.features and self.features.name,
            "preset": self.preset,
            "default_angle_deg": self.angle,
            **asdict(self.settings),
            "upscale": self.upscale,
        }


def _check_ranges(given: dict[str, Any], min_region_area: int, upscale: int) -> None:
    ranges = {
        "points_per_side": (1, MAX_POINTS_PER_SIDE),
        "pred_iou": (0, 1),
        "stability": (0, 1),
        "nms": (0, 1),
    }
    checked: list[tuple[str, float, float, float]] = [
        (name, value, *ranges[name]) for name, value in given.items()
    ]
    checked.append(("upscale", upscale, 1, MAX_UPSCALE))
    checked.append(("min_region_area", min_region_area, 0, float("inf")))
    for name, value, low, high in checked:
        if not low <= value <= high:
            raise UsageError(f"{name} is {value}: it must lie between {low} and {high}")
        if name in WHOLE_NUMBERS and value != int(value):
            raise UsageError(f"{name} is {value}: it must be a whole number")
