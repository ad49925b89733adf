import numpy as np

from terradelta.baselines.standard import standardised
from terradelta.geo.pair import load_pair


def test_bands_have_mean_0_and_variance_1_over_the_valid_pixels() -> None:
    random = np.random.default_rng(0)
    before, after = random.integers(0, 256, (2, 30, 40, 4), dtype=np.uint8)
    before[..., 3], after[..., 3] = 255, 255
    before[:10, :, 3] = 0
    pair = load_pair(before, after)
    for image in standardised(pair):
        assert image.dtype == np.float32
        np.testing.assert_allclose(image[10:].mean((0, 1)), 0, atol=1e-6)
        np.testing.assert_allclose(image[10:].var((0, 1)), 1, rtol=1e-5)
        assert not image[:10].any()


def test_gain_and_offset_are_taken_out() -> None:
    before = np.random.default_rng(0).integers(0, 100, (20, 20, 3), dtype=np.uint8)
    first, second = standardised(load_pair(before, before * np.uint8(2) + np.uint8([5, 0, 40])))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_a_constant_band_is_zero() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    image[..., 2] = 77
    first, _ = standardised(load_pair(image, image))
    assert not first[..., 2].any()
    assert first[..., 0].any()
