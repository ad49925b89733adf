"""By how much two dates are shifted against each other: phase correlation on a grid of windows.

Not the pictures are correlated but the orientation of their edges (the squared and normalised complex
gradient, after Fitch et al., "Orientation correlation", 2002): it depends little on light, season and
whether an edge brightens or darkens. The phase correlation is limited to low frequencies, for those
near the sampling limit are aliased and draw the peak towards whole pixels.

Shadows, relief and changes disturb single windows; the median over windows does not follow them. The
first estimate is the peak of the correlation summed over all windows, which also shows where no window
by itself does; then the windows are cut out of *after* where it says, so that they hold the same ground.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from terradelta.geo.sample import Patch, Sample

WINDOWS_PX = (128, 64, 32)
ENOUGH_WINDOWS = 9
MOST_WINDOWS = 256
LEAST_VALID = 0.95
BANDWIDTH = 0.16
"""Standard deviation, in cycles per pixel, of the frequencies that are correlated."""
LEAST_FIT_AT_128 = 0.1
"""Height of the correlation's peak that chance does not reach, for windows of 128 px."""
LEAST_POOLED_FIT = 11.0
"""Height of the peak of the summed correlation in standard deviations of its surface (by the median)
that chance does not reach: unrelated places of one kind gave up to 9.5, registered pairs from 12 on."""
FEWEST_FOUND = 9
"""Fewer windows than this that were found again give no median; the summed correlation tells then."""
FARTHEST_SHARE = 0.3
"""Share of a window's side up to which a shift can be told."""
INLIER_PX = 1.5
UPSAMPLING = 50

Spectrum = NDArray[Any]


@dataclass(frozen=True, slots=True)
class WindowShift:
    """A window that was found again: ``x``, ``y`` its middle on the grid in pixels, ``dx`` and ``dy``
    by which its ground is displaced in *after*, ``fit`` the height of the correlation's peak."""

    x: float
    y: float
    dx: float
    dy: float
    fit: float


@dataclass(frozen=True, slots=True)
class ShiftField:
    """By how much *after* is displaced against *before*, in pixels of the grid, x right and y down.

    ``windows`` are those that were found again of the ``tried``. ``shift`` is their median, refined to
    the median of the ``inliers``, the share within 1.5 px of it; ``residual`` is the median distance
    from it and ``farthest`` the 90th percentile. Where only all windows together show a shift the
    last three are NaN; where nothing does ``shift`` is NaN too.
    """

    windows: tuple[WindowShift, ...]
    tried: int
    shift: tuple[float, float]
    residual: float
    farthest: float
    inliers: float

    @property
    def found(self) -> float:
        """Share of the windows that were found again, 0 if none could be tried."""
        return len(self.windows) / self.tried if self.tried else 0.0

    @property
    def measured(self) -> bool:
        """Whether there is a shift at all."""
        return not math.isnan(self.shift[0])

    @property
    def length(self) -> float:
        """Length of the shift in pixels."""
        return math.hypot(*self.shift)

    @property
    def correction(self) -> tuple[float, float]:
        """What `ScenePair.shifted` needs to undo the shift."""
        return -self.shift[0], -self.shift[1]

    def describe(self) -> dict[str, Any]:
        """Plain values for a JSON file; None where nothing was measured."""
        numbers = {
            "residual_px": self.residual,
            "farthest_px": self.farthest,
            "inliers": self.inliers,
        }
        return {
            "shift_px": list(self.shift) if self.measured else None,
            **{name: None if math.isnan(value) else value for name, value in numbers.items()},
            "windows_tried": self.tried,
            "windows_found": len(self.windows),
        }


def shift_field(sample: Sample) -> ShiftField:
    """Find the windows of *before* again in *after*; windows that hold too little data are left out."""
    side = _window_side(sample)
    edges = [_Edges.of(patch) for patch in sample]
    together = _find_together(edges, side)
    if together is None:
        windows, tried = _find_all(edges, side, (0, 0))
        if len(windows) < max(FEWEST_FOUND, 0.2 * tried):
            return _summary([], tried, None)
        together = _summary(windows, tried, None).shift
    offset = round(together[0]), round(together[1])
    return _summary(*_find_all(edges, side, offset), together)


@dataclass(frozen=True, slots=True, eq=False)
class _Edges:
    """Orientation of the edges of a patch, complex [h, w], 0 where there are no data or edges."""

    x0: int
    y0: int
    before: Spectrum
    after: Spectrum
    valid: NDArray[np.bool_]

    @classmethod
    def of(cls, patch: Patch) -> _Edges:
        inner = ndimage.binary_erosion(patch.valid, iterations=4, border_value=1)
        before, after = (
            edge_orientation(v, patch.valid) * inner for v in (patch.before, patch.after)
        )
        return cls(patch.x0, patch.y0, before, after, patch.valid)


def edge_orientation(values: NDArray[Any], valid: NDArray[np.bool_]) -> Spectrum:
    """Squared complex gradient of the mean band, complex [h, w] of lengths up to 1: a half where the
    gradient is the median one. The product with the conjugate of another date's is positive where
    edges run in the same direction, whichever side is brighter."""
    grey = values.astype(np.float32).mean(0)
    grey = np.where(valid, grey, grey[valid].mean() if valid.any() else 0)
    across = ndimage.gaussian_filter(grey, 1, order=(0, 1))
    down = ndimage.gaussian_filter(grey, 1, order=(1, 0))
    squared = (across + 1j * down) ** 2
    middle = np.median(np.abs(squared)[valid]) if valid.any() else 0.0
    return np.asarray(squared / (np.abs(squared) + middle + 1e-12), np.complex64)


def _window_side(sample: Sample) -> int:
    """The largest side that gives enough windows."""
    for side in WINDOWS_PX:
        if sum(1 for patch in sample for _ in _corners(patch.valid.shape, side)) >= ENOUGH_WINDOWS:
            break
    return side


def _corners(shape: tuple[int, ...], side: int) -> Iterator[tuple[int, int]]:
    """Top left corners (x, y) of windows that overlap by half."""
    for y in range(0, shape[0] - side + 1, side // 2):
        for x in range(0, shape[1] - side + 1, side // 2):
            yield x, y


def _find_together(edges: list[_Edges], side: int) -> tuple[float, float] | None:
    """The shift at the peak of the correlation of all windows together; None if it may be chance."""
    taper, low_pass = _taper(side), _low_pass(side)
    product = np.zeros((side, side), complex)
    for part, x, y in _places(edges, side, (0, 0)):
        here, there = (date[y : y + side, x : x + side] for date in (part.before, part.after))
        first, second = _spectra(here * taper, there * taper)
        product += first * second.conj()
    surface = np.fft.ifft2(low_pass * product).real
    spread = 1.4826 * np.median(np.abs(surface - np.median(surface)))
    if spread == 0 or surface.max() < LEAST_POOLED_FIT * spread:
        return None
    shift = _peak(low_pass * product)
    return shift if max(map(abs, shift)) <= FARTHEST_SHARE * side else None


def _find_all(
    edges: list[_Edges], side: int, offset: tuple[int, int]
) -> tuple[list[WindowShift], int]:
    """Windows found again near ``offset`` from where they lie in *before*, and how many were tried."""
    places = _places(edges, side, offset)
    taper, low_pass = _taper(side), _low_pass(side)
    found = []
    for part, x, y in places:
        dx, dy = offset
        here = part.before[y : y + side, x : x + side]
        there = part.after[y + dy : y + dy + side, x + dx : x + dx + side]
        if not (here.any() and there.any()):
            continue
        first, second = _spectra(here * taper, there * taper)
        product = low_pass * first * second.conj()
        right, down = _peak(product)
        fit = _height(product, right, down) / low_pass.sum()
        near = max(abs(right), abs(down)) <= FARTHEST_SHARE * side
        if near and fit >= LEAST_FIT_AT_128 * 128 / side:
            middle = part.x0 + x + side / 2, part.y0 + y + side / 2
            found.append(WindowShift(*middle, right + dx, down + dy, float(fit)))
    return found, len(places)


def _places(
    edges: list[_Edges], side: int, offset: tuple[int, int]
) -> list[tuple[_Edges, int, int]]:
    """Windows that hold data, by their patch and corner there; evenly fewer if they are too many."""
    places = [(e, x, y) for e in edges for x, y in _corners(e.valid.shape, side)]
    places = [place for place in places if _usable(*place, side, offset)]
    if len(places) <= MOST_WINDOWS:
        return places
    chosen = np.linspace(0, len(places) - 1, MOST_WINDOWS).round().astype(int)
    return [places[i] for i in chosen]


def _usable(edges: _Edges, x: int, y: int, side: int, offset: tuple[int, int]) -> bool:
    """Whether a window lies within the patch in both dates and holds data."""
    (dx, dy), (height, width) = offset, edges.valid.shape
    if not (0 <= x + dx <= width - side and 0 <= y + dy <= height - side):
        return False
    return bool(edges.valid[y : y + side, x : x + side].mean() >= LEAST_VALID)


def _spectra(*images: Spectrum) -> tuple[Spectrum, ...]:
    """Fourier transforms of which only the phase is kept."""
    transforms = [np.fft.fft2(image) for image in images]
    return tuple(t / np.maximum(np.abs(t), 1e-12) for t in transforms)


def _peak(product: NDArray[Any]) -> tuple[float, float]:
    """(right, down) by which *after* is displaced, from the cross-power spectrum."""
    shift, _, _ = phase_cross_correlation(
        product,
        np.ones_like(product),
        upsample_factor=UPSAMPLING,
        normalization=None,
        space="fourier",
    )
    return -float(shift[1]), -float(shift[0])


def _height(product: NDArray[Any], right: float, down: float) -> float:
    """The correlation at a displacement."""
    frequency = np.fft.fftfreq(len(product))
    turn = np.exp(-2j * np.pi * (frequency[:, None] * down + frequency * right))
    return float((product * turn).sum().real)


def _taper(side: int) -> NDArray[np.float32]:
    line = np.hanning(side + 2)[1:-1].astype(np.float32)
    return np.asarray(line[:, None] * line)


def _low_pass(side: int) -> NDArray[np.float32]:
    """Weight of each frequency; none for the mean, which the taper spreads over its neighbours."""
    frequency = np.fft.fftfreq(side)
    radius = frequency[:, None] ** 2 + frequency**2
    weight = np.exp(-radius / (2 * BANDWIDTH**2))
    return np.asarray(np.where(radius < (1.5 / side) ** 2, 0, weight), np.float32)


def _summary(
    windows: list[WindowShift], tried: int, together: tuple[float, float] | None
) -> ShiftField:
    """The field of single windows, or what they show ``together`` if too few are found again."""
    nan = math.nan
    if len(windows) < FEWEST_FOUND:
        return ShiftField(tuple(windows), tried, together or (nan, nan), nan, nan, nan)
    each = np.array([(w.dx, w.dy) for w in windows])
    middle = np.median(each, axis=0)
    near = np.hypot(*(each - middle).T) <= INLIER_PX
    if near.any():
        middle = np.median(each[near], axis=0)
    distance = np.hypot(*(each - middle).T)
    return ShiftField(
        tuple(windows),
        tried,
        (float(middle[0]), float(middle[1])),
        float(np.median(distance)),
        float(np.percentile(distance, 90)),
        float((distance <= INLIER_PX).mean()),
    )
