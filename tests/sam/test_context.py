import numpy as np
import pytest
from numpy.typing import NDArray

from terradelta import make_scene
from terradelta.sam.context import RegionContext, region_contexts
from terradelta.sam.descriptors import CHANNEL_WEIGHTS, CONSTANT_WEIGHT, describe
from terradelta.sam.segmenter import RGB, BoolArray
from terradelta.synth import Scene

SIZE = 256
GREY = np.arange(256) / 255


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(SIZE)


def everywhere(image: RGB) -> BoolArray:
    return np.ones(image.shape[:2], bool)


def pair_contexts(before: RGB, after: RGB) -> tuple[RegionContext, RegionContext]:
    return region_contexts(before, after, everywhere(before))


def dimmed(image: RGB) -> RGB:
    return np.round(image * 0.8 + 20).astype(np.uint8)


def matched(image: RGB, context: RegionContext) -> NDArray[np.float32]:
    """Grey levels [H, W, 3] after the radiometric curves."""
    bands = [curve[image[..., band]] for band, curve in enumerate(context.curves)]
    return 255 * np.stack(bands, -1)


def embedded(image: RGB, context: RegionContext) -> NDArray[np.float32]:
    return context.normalise(describe(context.lab(image)))


def angles(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float64]:
    a, b = (z.astype(np.float64) / np.linalg.norm(z, axis=0) for z in (before, after))
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b, axis=0), np.linalg.norm(a + b, axis=0)))


def pair_angles(before: RGB, after: RGB) -> NDArray[np.float64]:
    contexts = pair_contexts(before, after)
    return angles(embedded(before, contexts[0]), embedded(after, contexts[1]))


def assert_close(first: RegionContext, second: RegionContext) -> None:
    np.testing.assert_allclose(first.curves, second.curves, atol=1e-5)
    np.testing.assert_allclose(first.mean, second.mean, atol=2e-3)
    np.testing.assert_allclose(first.deviation, second.deviation, atol=2e-3)
    assert first.contrast == pytest.approx(second.contrast, abs=2e-3)


def random_pair(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2, height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_swapping_the_dates_swaps_the_contexts(scene: Scene, noise: float) -> None:
    blended = (1 - noise) * scene.after + noise * random_pair(SIZE, SIZE)[0]
    after = blended.astype(np.uint8)
    first, second = pair_contexts(scene.before, after)
    swapped_second, swapped_first = pair_contexts(after, scene.before)
    assert_close(first, swapped_first)
    assert_close(second, swapped_second)
    assert np.abs(first.curves - second.curves).max() > 0.01


def test_equal_dates_have_equal_curves_and_no_angle(scene: Scene) -> None:
    first, second = pair_contexts(scene.before, scene.before.copy())
    assert_close(first, second)
    np.testing.assert_allclose(first.curves, np.tile(GREY, (3, 1)), atol=1e-6)
    assert pair_angles(scene.before, scene.before.copy()).max() < 1e-3


def test_a_gain_and_offset_of_one_date_are_removed(scene: Scene) -> None:
    before, after = scene.before, dimmed(scene.before)
    first, second = pair_contexts(before, after)
    assert np.abs(before - after.astype(float)).mean() > 5
    assert np.abs(matched(before, first) - matched(after, second)).max() < 1
    assert np.median(pair_angles(before, after)) < 1


def test_the_dates_meet_in_the_middle(scene: Scene) -> None:
    before, after = scene.before, dimmed(scene.before)
    first, _ = pair_contexts(before, after)
    middle = (before.astype(float) + after) / 2
    assert np.abs(matched(before, first) - middle).mean() < 0.3


@pytest.mark.parametrize("what", [0, 230])
def test_a_change_barely_spoils_the_match(scene: Scene, what: int) -> None:
    before, after = scene.before, dimmed(scene.before)
    after[:64, :64] = what
    first, second = pair_contexts(before, after)
    apart = np.abs(matched(before, first) - matched(after, second))
    assert apart[64:].mean() < 0.5


def test_invalid_pixels_do_not_enter_the_match(scene: Scene) -> None:
    before, after = scene.before.copy(), dimmed(scene.before)
    valid = np.ones((SIZE, SIZE), bool)
    valid[:, :160] = False
    before[~valid], after[~valid] = 0, 255
    first, second = region_contexts(before, after, valid)
    apart = np.abs(matched(before, first) - matched(after, second))[valid]
    assert apart.mean() < 0.5


def test_unrelated_dates_keep_their_radiometry() -> None:
    flat = np.full((64, 64, 3), 60, np.uint8)
    speckle = random_pair(64, 64)[0] // 2 + 128
    for before, after in ((flat, speckle), (speckle, flat)):
        for context in pair_contexts(before, after):
            np.testing.assert_allclose(context.curves, np.tile(GREY, (3, 1)), atol=1e-6)


def test_curves_rise_from_black_to_white(scene: Scene) -> None:
    for context in pair_contexts(scene.before, scene.after):
        assert context.curves.shape == (3, 256)
        assert context.curves.dtype == np.float32
        assert (np.diff(context.curves) >= 0).all()
        assert context.curves.min() >= 0
        assert context.curves.max() <= 1


def test_channels_over_both_dates_deviate_by_their_weights(scene: Scene) -> None:
    images = scene.before, scene.after
    contexts = pair_contexts(*images)
    both = np.stack([embedded(i, c) for i, c in zip(images, contexts, strict=True)], 1)
    assert both.shape == (len(CHANNEL_WEIGHTS) + 1, 2, SIZE // 2, SIZE // 2)
    channels = both[:-1].reshape(len(CHANNEL_WEIGHTS), -1)
    np.testing.assert_allclose(channels.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(channels.std(1), list(CHANNEL_WEIGHTS.values()), rtol=1e-3)
    np.testing.assert_allclose(both[-1], CONSTANT_WEIGHT, rtol=1e-6)


def test_contrast_is_the_deviation_of_lightness_over_the_valid_pixels(scene: Scene) -> None:
    valid = np.zeros((SIZE, SIZE), bool)
    valid[40:200, 60:180] = True
    images = scene.before, scene.after
    contexts = region_contexts(*images, valid)
    lightness = [c.lab(i)[valid][:, 0] for i, c in zip(images, contexts, strict=True)]
    assert contexts[0].contrast == contexts[1].contrast
    assert contexts[0].contrast == pytest.approx(np.std(lightness), rel=1e-4)


def test_lab_without_a_match_is_the_textbook_one() -> None:
    nothing = np.zeros(len(CHANNEL_WEIGHTS), np.float32)
    context = RegionContext(np.tile(GREY, (3, 1)).astype(np.float32), nothing, nothing + 1, 1.0)
    white_black_red = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], np.uint8)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]]
    np.testing.assert_allclose(context.lab(white_black_red)[0], expected, atol=0.02)


@pytest.mark.parametrize("grey", [0, 90, 255])
def test_constant_dates_have_no_angle_and_no_nan(grey: int) -> None:
    before, after = np.full((2, 40, 56, 3), grey, np.uint8)
    assert pair_angles(before, after).max() < 1e-3


def test_constant_dates_of_different_grey_are_matched() -> None:
    before, after = np.full((48, 48, 3), 90, np.uint8), np.full((48, 48, 3), 200, np.uint8)
    first, second = pair_contexts(before, after)
    np.testing.assert_allclose(matched(before, first), 145, atol=0.5)
    np.testing.assert_allclose(matched(after, second), 145, atol=0.5)


def test_a_pair_without_a_valid_pixel_has_finite_contexts() -> None:
    before, after = random_pair(32, 48)
    for context in region_contexts(before, after, np.zeros((32, 48), bool)):
        assert np.isfinite(embedded(before, context)).all()
        assert context.contrast > 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (3, 1), (5, 7)])
def test_the_smallest_images_have_finite_contexts(shape: tuple[int, int]) -> None:
    before, after = random_pair(*shape)
    for context in pair_contexts(before, after):
        z = embedded(before, context)
        assert z.shape == (len(CHANNEL_WEIGHTS) + 1, (shape[0] + 1) // 2, (shape[1] + 1) // 2)
        assert np.isfinite(z).all()


def test_a_narrow_valid_strip_is_matched_too(scene: Scene) -> None:
    before, after = scene.before.copy(), dimmed(scene.before)
    valid = np.zeros((SIZE, SIZE), bool)
    valid[:, 208:] = True
    before[~valid], after[~valid] = 0, 255
    first, second = region_contexts(before, after, valid)
    apart = np.abs(matched(before, first) - matched(after, second))[valid]
    assert apart.mean() < 0.5


def test_swapping_the_dates_of_any_size_swaps_the_contexts() -> None:
    before, size = make_scene(250).before, 250
    noise = np.random.default_rng(0).integers(0, 256, (126, 126, 3)).repeat(2, 0).repeat(2, 1)
    after = (0.3 * before + 0.7 * noise[:size, :size]).astype(np.uint8)
    first, _ = pair_contexts(before, after)
    _, swapped_first = pair_contexts(after, before)
    assert_close(first, swapped_first)


def test_the_images_a_context_was_made_of_are_described_once(scene: Scene) -> None:
    images = scene.before, scene.after
    for image, context in zip(images, pair_contexts(*images), strict=True):
        described, again = context.describe(image), context.describe(image.copy())
        assert context.describe(image) is described
        assert again is not described
        np.testing.assert_array_equal(again.lab, described.lab)
        np.testing.assert_array_equal(again.channels, described.channels)
        np.testing.assert_array_equal(described.lab, context.lab(image))


def test_another_image_is_described_by_itself(scene: Scene) -> None:
    first, _ = pair_contexts(scene.before, scene.after)
    np.testing.assert_array_equal(first.describe(scene.after).lab, first.lab(scene.after))
