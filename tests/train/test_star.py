"""STAR: labels by hand, the change between any two images of a batch, and that it learns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from terradelta.detectors import load_detector, normalise
from terradelta.detectors.changestar import ChangeStar, changestar
from terradelta.errors import InputError
from terradelta.geo.files import write_png
from terradelta.train import train
from terradelta.train.losses import criterion
from terradelta.train.settings import settings_of
from terradelta.train.single import SingleDates, open_single_dates
from terradelta.train.star import StarObjective, exclusive_or, partners


def test_change_is_what_one_of_two_labels_has() -> None:
    label = torch.tensor([0.0, 0, 1, 1, 255, 1, 255])
    other = torch.tensor([0.0, 1, 0, 1, 1, 255, 255])
    assert exclusive_or(label, other).tolist() == [0, 1, 1, 0, 255, 255, 255]
    assert torch.equal(exclusive_or(label, other), exclusive_or(other, label))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_every_image_is_the_other_date_of_one_and_never_of_itself(count: int) -> None:
    seen = set()
    for seed in range(50):
        torch.manual_seed(seed)
        partner = partners(count)
        assert sorted(partner.tolist()) == list(range(count))
        assert (partner != torch.arange(count)).all()
        seen.add(tuple(partner.tolist()))
    assert len(seen) > 1 or count == 2
    assert partners(1).tolist() == [0]


def test_the_change_is_that_of_the_pairs(images: torch.Tensor) -> None:
    detector, partner = changestar(semantic=1, channels=16).eval(), torch.tensor([2, 0, 1])
    with torch.inference_mode():
        objects, change = detector.objects_and_change(images, partner)
        torch.testing.assert_close(objects, detector.semantic_logits(images))
        torch.testing.assert_close(change, detector(images, images[partner]), atol=1e-4, rtol=1e-4)
        back = torch.argsort(partner)
        _, reversed_change = detector.objects_and_change(images, back)
    # The pair (i, partner of i) is the pair (j, whose partner is j) the other way around.
    torch.testing.assert_close(reversed_change[partner], change, atol=1e-4, rtol=1e-4)


def test_in_training_too(images: torch.Tensor) -> None:
    """The statistics of a batch are those of the batch twice over."""
    detector, partner = changestar(semantic=1, channels=16).train(), torch.tensor([1, 2, 0])
    with torch.no_grad():
        _, change = detector.objects_and_change(images, partner)
        pairs = detector(images, images[partner])
    torch.testing.assert_close(change, pairs, atol=1e-3, rtol=1e-3)


def test_the_loss_is_that_of_the_objects_and_of_the_change() -> None:
    detector = changestar(semantic=1, channels=16).eval()
    loss = criterion(("bce",))
    assert loss is not None
    shown = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    label = torch.randint(0, 2, (3, 32, 32)).float()
    label[0, :4] = 255
    with torch.inference_mode():
        torch.manual_seed(4)
        found = StarObjective(detector, loss)(shown, shown, label)
        torch.manual_seed(4)
        partner = partners(3)
        objects, change = detector.objects_and_change(normalise(shown), partner)
        changed = (label != label[partner]).float()
        changed[(label == 255) | (label[partner] == 255)] = 255
        expected = loss(objects, label) + loss(change, changed)
    torch.testing.assert_close(found, expected)


def test_it_learns_change_from_single_dates(tmp_path: Path) -> None:
    """Bright squares on noise, of single dates; then pairs in which a square appears or goes."""
    chosen = settings_of(
        {
            "detector": "changestar-1x96-r18",
            "labels": "objects",
            "steps": 24,
            "batch": 8,
            "interval": 8,
            "workers": 0,
            "loss": {"terms": ["bce", "dice"]},
            "optimiser": {"name": "sgd", "learning_rate": 0.02},
            "augment": {"crop": 32},
        }
    )
    readers = [lambda seed=seed: square(seed) for seed in range(24)]
    pairs = [(square(100 + i)[0], square(200 + i)[0], change(100 + i, 200 + i)) for i in range(8)]
    done = train(chosen, SingleDates(readers), pairs, tmp_path, device="cpu")
    losses = [
        float(line.split(",")[2]) for line in (tmp_path / "curves.csv").open() if line[0] != "s"
    ]
    assert losses[-1] < 0.8 * losses[0]
    assert done.best is not None
    assert done.best["f1"] > 0.65 > all_changed(pairs) + 0.1
    detector = load_detector(done.detector)
    assert isinstance(detector, ChangeStar)
    assert detector.settings["semantic"] == 1


def square(seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    image, label = random.integers(0, 110, (32, 32, 3), np.uint8), np.zeros((32, 32), np.float32)
    top, left = random.integers(0, 18, 2)
    image[top : top + 14, left : left + 14] += np.uint8(140)
    label[top : top + 14, left : left + 14] = 1
    return image, label


def change(seed: int, other: int) -> Any:
    return (square(seed)[1] != square(other)[1]).astype(np.float32)


def all_changed(pairs: list[Any]) -> float:
    """The F1 of an answer that takes every pixel for change."""
    share = float(np.mean([label.mean() for _, _, label in pairs]))
    return 2 * share / (1 + share)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 37, 40, generator=torch.Generator().manual_seed(0))


def write_folder(root: Path) -> None:
    for name in ("one", "two"):
        write_png(root / "images" / f"{name}.png", np.full((4, 6, 3), 90, np.uint8))
        label = np.zeros((4, 6), np.uint8)
        label[0] = 7
        write_png(root / "labels" / f"{name}.png", label)


@pytest.mark.parametrize("inner", ["", "train"])
def test_a_folder_of_images_and_labels(tmp_path: Path, inner: str) -> None:
    write_folder(tmp_path / inner)
    dates = open_single_dates(tmp_path, "train")
    assert len(dates) == 2
    before, after, label = dates[1]
    assert before is after
    assert label.dtype == np.float32
    assert label.tolist() == [[1] * 6, *[[0] * 6] * 3]


def test_open_earth_map_gives_its_buildings(tmp_path: Path) -> None:
    region = tmp_path / "aachen"
    write_png(region / "images" / "aachen_1.tif", np.full((2, 3, 3), 90, np.uint8))
    write_png(region / "labels" / "aachen_1.tif", np.array([[8, 0, 5], [1, 8, 8]], np.uint8))
    (tmp_path / "train.txt").write_text("aachen_1.tif\n")
    _, _, label = open_single_dates(tmp_path, "train")[0]
    assert label.tolist() == [[1, 255, 0], [0, 1, 1]]


def test_no_images_and_a_missing_label_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no labelled images of single dates"):
        open_single_dates(tmp_path, "train")
    write_folder(tmp_path)
    (tmp_path / "labels" / "two.png").unlink()
    with pytest.raises(InputError, match="lacks 1 of 2 images, the first is 'two'"):
        open_single_dates(tmp_path, "train")
