import numpy as np
import pytest
from scipy import ndimage

from terradelta.baselines.obcd import Obcd, describe_objects
from terradelta.errors import UsageError
from terradelta.metrics import PixelCounts
from terradelta.synth import make_scene


def test_a_changed_field_is_found_along_its_border() -> None:
    random = np.random.default_rng(0)
    field = np.kron(random.integers(40, 200, (4, 4, 3)), np.ones((40, 40, 1)))
    truth = np.zeros((160, 160), bool)
    truth[40:80, 80:120] = True
    before, after = (
        np.clip(field + random.normal(0, 6, field.shape), 0, 255).astype(np.uint8) for _ in range(2)
    )
    after[truth] = np.clip(random.normal((230, 30, 30), 6, (1600, 3)), 0, 255)
    changes = Obcd().detect(before, after)
    assert PixelCounts.of(changes.to_mask(), truth).iou > 0.95
    assert len(changes) == 1


def test_a_texture_that_appears_is_change_though_the_mean_stays() -> None:
    before = np.kron([[20, 230, 120], [180, 120, 60], [120, 30, 200]], np.ones((40, 40)))
    texture = np.where(np.indices((40, 40)).sum(0) % 2, 60, 180)
    after = before.copy()
    after[40:80, 40:80] = texture
    truth = np.zeros((120, 120), bool)
    truth[40:80, 40:80] = True
    assert before.mean() == after.mean()
    mask = Obcd(object_px=100).detect(before.astype(np.uint8), after.astype(np.uint8)).to_mask()
    found = PixelCounts.of(mask, truth)
    assert found.recall == 1
    assert found.precision > 0.75


def test_descriptions_are_those_of_scipy() -> None:
    random = np.random.default_rng(0)
    image = random.normal(size=(30, 40, 3)).astype(np.float32)
    objects = random.integers(0, 5, (30, 40))
    valid = random.random((30, 40)) < 0.8
    described = describe_objects(image, objects, valid)
    labels = np.where(valid, objects, -1)
    for band in range(3):
        mean = ndimage.mean(image[..., band].astype(float), labels, range(5))
        deviation = ndimage.standard_deviation(image[..., band].astype(float), labels, range(5))
        np.testing.assert_allclose(described[:, band], mean, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(described[:, 3 + band], deviation, rtol=1e-9)


def test_an_object_without_a_valid_pixel_is_described_by_zeros() -> None:
    objects, valid = np.array([[0, 1]]), np.array([[True, False]])
    described = describe_objects(np.ones((1, 2, 3), np.float32), objects, valid)
    np.testing.assert_array_equal(described, [[1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0]])


def test_larger_objects_are_fewer() -> None:
    made = make_scene(60, seed=0)
    values = [
        len(np.unique(Obcd(object_px=area).detect(made.before, made.after).score_image()))
        for area in (36, 144, 3600)
    ]
    assert values[0] > values[1] > values[2] == 1


def test_bad_settings_are_named() -> None:
    with pytest.raises(UsageError, match="object_px is 0"):
        Obcd(object_px=0)
