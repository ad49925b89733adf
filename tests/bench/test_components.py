import numpy as np
import torch
from sklearn.decomposition import PCA

from terradelta.bench.components import principal_pictures
from terradelta.sam.segmenter import Axis, Embedding


def embedding(cells: np.ndarray, pad: int = 0, factor: int = 4) -> Embedding:
    """Of cells [h, w, C], each ``factor`` px wide, with padding of wild values."""
    height, width, channels = cells.shape
    z = np.full((channels, height + pad, width + pad), 1e3, np.float32)
    z[:, :height, :width] = cells.transpose(2, 0, 1)
    rows = Axis.half_pixel(height * factor, 1 / factor, height)
    columns = Axis.half_pixel(width * factor, 1 / factor, width)
    return Embedding(torch.from_numpy(z), rows, columns)


def cells_of(seed: int, height: int = 6, width: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(height, width, 8)) * np.arange(8, 0, -1)


def test_like_cells_have_one_colour_in_both_pictures() -> None:
    kinds = np.random.default_rng(0).normal(size=(3, 16))
    where = np.random.default_rng(1).integers(0, 3, (2, 5, 7))
    pictures = principal_pictures([embedding(kinds[w], factor=5) for w in where])
    middles = np.concatenate([p[2::5, 2::5].reshape(-1, 3) for p in pictures]).astype(int)
    assert pictures[0].shape == (25, 35, 3)
    kind = where.reshape(-1)
    colours = [np.unique(middles[kind == k], axis=0) for k in range(3)]
    assert all(len(c) == 1 for c in colours)
    assert len(np.unique(np.concatenate(colours), axis=0)) == 3


def test_colours_are_the_principal_components_between_two_percentiles() -> None:
    dates = [cells_of(0), cells_of(1)]
    pictures = principal_pictures([embedding(d, factor=3) for d in dates])
    everything = np.concatenate([d.reshape(-1, 8) for d in dates])
    components = PCA(3, svd_solver="full").fit_transform(everything)
    low, high = np.percentile(components, (1, 99), axis=0)
    expected = np.clip((components - low) / (high - low), 0, 1).reshape(2, 6, 9, 3) * 255
    found = np.stack([p[1::3, 1::3] for p in pictures]).astype(float)
    for k in range(3):  # the sign of a component is free
        same = np.abs(found[..., k] - expected[..., k]).max()
        turned = np.abs(255 - found[..., k] - expected[..., k]).max()
        assert min(same, turned) <= 1


def test_padding_has_no_say() -> None:
    dates = [cells_of(0), cells_of(1)]
    plain = principal_pictures([embedding(d) for d in dates])
    padded = principal_pictures([embedding(d, pad=4) for d in dates])
    assert all((a == b).all() for a, b in zip(plain, padded, strict=True))


def test_fewer_channels_leave_colours_black_and_one_value_gives_one_colour() -> None:
    narrow = principal_pictures([embedding(cells_of(0)[..., :2])] * 2)[0]
    assert (narrow[..., 2] == 0).all()
    assert np.ptp(narrow[..., 0]) > 100
    flat = principal_pictures([embedding(np.ones((4, 4, 8)))] * 2)[0]
    assert (flat == flat[0, 0]).all()
