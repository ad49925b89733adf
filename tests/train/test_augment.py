"""An image whose pixels say where they come from shows that both dates and the label move alike."""

from typing import Any

import numpy as np
import pytest
import torch

from terradelta.train.augment import Augmentation, Symmetry, as_tensor
from terradelta.train.pairs import LabelledPair
from terradelta.train.settings import AugmentSettings


def pair_of_places(height: int = 40, width: int = 50) -> LabelledPair:
    """Red is the column, green the row; the label is 1 on the right half."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    image = np.stack([columns, rows, np.zeros_like(rows)], -1)
    return image, image + np.uint8(100), (columns >= width // 2).astype(np.float32)


def augmented(seed: int, **settings: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return Augmentation(AugmentSettings(**{"crop": 16, **settings}))(pair_of_places())


@pytest.mark.parametrize("seed", range(8))
def test_dates_and_label_are_moved_by_one_draw(seed: int) -> None:
    before, after, label = augmented(seed)
    assert before.shape == after.shape == (3, 16, 16)
    assert torch.equal(after.int() - before.int(), torch.full_like(before, 100).int())
    assert torch.equal(label, (before[0] >= 25).float())


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_scale_enlarges_and_the_label_follows(scale: float) -> None:
    for seed in range(6):
        before, _, label = augmented(seed, scale=(scale, scale), flip=False, rotate=False)
        steps = before[0, 8].float().diff()[2:-2]  # columns per pixel
        assert steps.mean().item() == pytest.approx(1 / scale, abs=0.1)
        wrong = (label != (before[0].float() >= 24.5).float()).float().mean()
        assert wrong <= 1 / 16  # at most the column at the edge


def test_the_square_fits_into_small_images() -> None:
    images = np.zeros((9, 5, 3), np.uint8)
    pair = images, images, np.ones((9, 5), np.float32)
    before, _, label = Augmentation(AugmentSettings(crop=16, scale=(0.5, 0.5)))(pair)
    assert before.shape == (3, 16, 16)
    assert label.shape == (16, 16)


def test_all_eight_symmetries_are_drawn() -> None:
    places = torch.arange(9).view(1, 3, 3)
    turn = Symmetry(flip=True, rotate=True)
    torch.manual_seed(0)
    from torchvision import tv_tensors

    seen = {tuple(turn(tv_tensors.Image(places)).flatten().tolist()) for _ in range(200)}
    expected = {
        tuple(torch.rot90(each, k, (-2, -1)).flatten().tolist())
        for each in (places, places.flip(-1))
        for k in range(4)
    }
    assert seen == expected


def test_light_is_drawn_for_each_date_alone() -> None:
    image = np.full((16, 16, 3), 100, np.uint8)
    image[8:] = 150
    augment = Augmentation(AugmentSettings(crop=16, brightness=0.4, flip=False, rotate=False))
    ratios = []
    for seed in range(20):
        torch.manual_seed(seed)
        before, after, _ = augment((image, image, np.zeros((16, 16), np.float32)))
        ratios.append((before[0, 0, 0].item() / 100, after[0, 0, 0].item() / 100))
    assert all(0.59 < ratio < 1.41 for pair in ratios for ratio in pair)
    assert sum(abs(first - second) > 0.02 for first, second in ratios) >= 15


def test_dates_are_swapped_in_half_of_the_draws() -> None:
    swapped = [bool((augmented(seed, swap=True)[0][2] == 100).all()) for seed in range(60)]
    assert 15 < sum(swapped) < 45
    assert not any((augmented(seed)[0][2] == 100).any() for seed in range(10))


def test_class_ids_stay_class_ids() -> None:
    image, _, label = pair_of_places()
    ids = np.where(label > 0, np.uint8(3), np.uint8(255))
    torch.manual_seed(0)
    moved = Augmentation(AugmentSettings(crop=16, scale=(0.7, 1.4)))((image, image, ids))[2]
    assert moved.dtype == torch.uint8
    assert set(moved.unique().tolist()) <= {3, 255}


def test_an_image_as_a_tensor() -> None:
    image = pair_of_places()[0]
    assert as_tensor(image)[1, 7, 3] == image[7, 3, 1] == 7
