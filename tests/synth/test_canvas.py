import numpy as np

from terradelta.synth.canvas import Canvas, blend, coverage, lit


def test_blend_mixes_by_weight() -> None:
    albedo = np.zeros((2, 2, 3), np.float32)
    blend(albedo, (1.0, 0.5, 0.0), np.array([[0, 0.5], [1, 0.25]], np.float32))
    np.testing.assert_allclose(albedo[..., 0], [[0, 0.5], [1, 0.25]])
    np.testing.assert_allclose(albedo[1, 0], [1, 0.5, 0])


def test_lit_scales_a_colour() -> None:
    colour = lit((0.2, 0.4, 0.6), np.array([1, 2], np.float32))
    np.testing.assert_allclose(colour, [[0.2, 0.4, 0.6], [0.4, 0.8, 1.2]], rtol=1e-6)


def test_coverage_passes_a_half_on_the_edge() -> None:
    inside = np.array([-1, -0.25, 0, 0.25, 1], np.float32)
    np.testing.assert_allclose(coverage(inside, 0.5), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(coverage(inside, 1.0), [0, 0.25, 0.5, 0.75, 1])


def test_a_copy_shares_nothing(bare: Canvas) -> None:
    copy = bare.copy()
    for name in ("albedo", "green", "height", "slope_x", "slope_y", "event"):
        assert not np.shares_memory(getattr(copy, name), getattr(bare, name))
        np.testing.assert_array_equal(getattr(copy, name), getattr(bare, name))
