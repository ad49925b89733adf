import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasterio.transform import Affine

from terradelta import AnyChange
from terradelta.baselines.answer import BaselineChanges
from terradelta.data import Dataset, open_dataset
from terradelta.errors import InputError, OutputError
from terradelta.geo.files import write_geotiff
from terradelta.geo.pair import load_pair
from terradelta.metrics import (
    ImageCounts,
    ObjectMatches,
    PixelCounts,
    bootstrap_intervals,
    connected_components,
)
from terradelta.types import Progress, silent
from terradelta.zeroshot.evaluation import Evaluation, evaluate_masks, evaluate_pairs

GRID = Affine(2, 0, 500_000, 0, -2, 5_400_000)


def box(x0: int, y0: int, x1: int, y1: int, value: int = 255) -> np.ndarray:
    """A mask of 32 x 24 pixels with one rectangle."""
    mask = np.zeros((24, 32), np.uint8)
    mask[y0:y1, x0:x1] = value
    return mask


def save(folder: Path, **images: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in images.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def made_pairs(folder: Path) -> Path:
    """Two pairs: in `one` a bright square appears, in `two` nothing happens."""
    random = np.random.default_rng(0)
    before = (90 + random.integers(0, 8, (48, 64, 3))).astype(np.uint8)
    after = before.copy()
    after[12:24, 16:32] = 220
    truth = np.zeros((48, 64), np.uint8)
    truth[12:24, 16:32] = 255
    save(folder / "A", one=before, two=before)
    save(folder / "B", one=after, two=before)
    save(folder / "label", one=truth, two=np.zeros_like(truth))
    return folder


def ar_1000(result: Evaluation) -> float:
    return result.metrics()["ar@1000"]


def test_masks_are_pooled_over_images(tmp_path: Path) -> None:
    pred = save(tmp_path / "pred", a=box(0, 0, 10, 10), b=box(0, 0, 4, 5))
    truth = save(tmp_path / "truth", a=box(0, 0, 10, 20), b=box(20, 0, 24, 5))
    result = evaluate_masks(pred, truth)
    assert [image.name for image in result.per_image] == ["a", "b"]
    assert result.per_image[1].pixels == PixelCounts(0, 20, 20, 24 * 32 - 40)
    assert result.pixels == PixelCounts(100, 20, 120, 2 * 24 * 32 - 240)
    assert result.objects == ObjectMatches(1, 2, 2)
    assert ar_1000(result) == pytest.approx((1 / 10 + 0) / 2)


def test_as_json_it_has_counts_metrics_and_intervals(tmp_path: Path) -> None:
    pred = save(tmp_path / "pred", a=box(0, 0, 10, 10), b=box(0, 0, 4, 5), c=box(1, 1, 9, 9))
    truth = save(tmp_path / "truth", a=box(0, 0, 10, 20), b=box(20, 0, 24, 5), c=box(1, 1, 9, 9))
    result = evaluate_masks(pred, truth)
    told = result.as_dict()
    assert (told.pop("images"), told.pop("truths"), told.pop("proposals")) == (3, 3, 3)
    intervals = told.pop("interval_95")
    assert told.keys() == intervals.keys()
    assert told["f1"] == result.pixels.f1
    assert told["object_recall"] == 2 / 3
    # No object of 32 x 24 px is larger than 32 x 32.
    assert (told["ar_large@1000"], intervals["ar_large@1000"]) == (None, [None, None])
    expected = bootstrap_intervals([image.pixels for image in result.per_image])["f1"]
    assert intervals["f1"] == list(expected)
    assert all(low <= told[name] <= high for name, (low, high) in intervals.items() if low)


def test_one_image_has_no_interval(tmp_path: Path) -> None:
    pred, truth = (save(tmp_path / name, a=box(0, 0, 9, 9)) for name in ("pred", "truth"))
    told = evaluate_masks(pred, truth).as_dict()
    assert told["f1"] == 1
    assert all(ends == [None, None] for ends in told["interval_95"].values())


def test_saved_are_the_images_the_metrics_and_how_they_were_measured(tmp_path: Path) -> None:
    pred = save(tmp_path / "pred", a=box(0, 0, 10, 10), b=box(0, 0, 4, 5))
    truth = save(tmp_path / "truth", a=box(0, 0, 10, 20), b=box(0, 0, 0, 0))
    result = evaluate_masks(pred, truth)
    result.save(tmp_path / "out", split="val")
    with (tmp_path / "out" / "per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["false_positive"]) for row in rows] == [("a", "0"), ("b", "20")]
    text = (tmp_path / "out" / "metrics.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {**result.as_dict(), "split": "val"}


def test_a_folder_is_a_perfect_answer_to_itself(tmp_path: Path) -> None:
    masks = save(tmp_path / "masks", a=box(0, 0, 9, 9), b=box(3, 3, 20, 20))
    told = evaluate_masks(masks, masks).as_dict()
    assert (told["iou"], told["kappa"], told["ar@1000"], told["object_f1"]) == (1, 1, 1, 1)
    assert told["interval_95"]["f1"] == [1, 1]


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    masks = save(tmp_path / "masks", a=box(0, 0, 9, 9))
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        evaluate_masks(masks, masks).save(tmp_path / "file")


def test_change_is_whatever_is_not_0(tmp_path: Path) -> None:
    truth = save(tmp_path / "truth", a=box(3, 4, 9, 12))
    colour = np.zeros((24, 32, 3), np.uint8)
    colour[4:12, 3:9, 2] = 1
    palette = Image.fromarray(box(3, 4, 9, 12, 1))
    palette.putpalette([0, 0, 0, 200, 30, 30])
    (tmp_path / "palette").mkdir()
    palette.save(tmp_path / "palette" / "a.png")
    (tmp_path / "bits").mkdir()
    Image.fromarray(box(3, 4, 9, 12) > 0).save(tmp_path / "bits" / "a.png")
    for pred in (
        save(tmp_path / "ones", a=box(3, 4, 9, 12, 1)),
        save(tmp_path / "colour", a=colour),
        save(tmp_path / "deep", a=box(3, 4, 9, 12).astype(np.uint16) * 256),
        tmp_path / "palette",
        tmp_path / "bits",
    ):
        assert evaluate_masks(pred, truth).pixels.iou == 1


def test_what_is_not_valid_is_no_change(tmp_path: Path) -> None:
    pred = np.zeros((24, 32), np.float32)
    pred[4:12, 3:9] = 1
    pred[20:] = np.nan
    write_geotiff(tmp_path / "pred" / "a.tif", pred, "EPSG:32633", GRID)
    rgba = np.full((24, 32, 4), 255, np.uint8)
    rgba[..., 3] = box(3, 4, 9, 12)
    truth = save(tmp_path / "truth", a=rgba)
    assert evaluate_masks(tmp_path / "pred", truth).pixels.iou == 1


def test_the_largest_objects_of_a_mask_count_as_the_surest(tmp_path: Path) -> None:
    """1500 specks of one pixel come first in reading order; the true object is the largest."""
    pred = np.zeros((100, 100), np.uint8)
    pred[0:60:2, 0:100:2] = 1
    pred[70:90, 10:40] = 1
    truth = np.zeros((100, 100), np.uint8)
    truth[70:90, 10:40] = 1
    assert len(connected_components(pred > 0)) == 1501
    found = evaluate_masks(save(tmp_path / "pred", a=pred), save(tmp_path / "truth", a=truth))
    assert ar_1000(found) == 1


def test_no_change_anywhere_has_no_recall(tmp_path: Path) -> None:
    empty = np.zeros((24, 32), np.uint8)
    result = evaluate_masks(save(tmp_path / "pred", a=empty), save(tmp_path / "truth", a=empty))
    assert result.pixels.accuracy == 1
    assert math.isnan(ar_1000(result))
    assert math.isnan(result.pixels.f1)


@pytest.mark.parametrize("lacking", ["pred", "truth"])
def test_a_missing_partner_is_named(tmp_path: Path, lacking: str) -> None:
    for name in ("pred", "truth"):
        save(tmp_path / name, a=box(0, 0, 9, 9), b=box(0, 0, 9, 9), c=box(0, 0, 9, 9))
    (tmp_path / lacking / "b.png").unlink()
    (tmp_path / lacking / "c.png").unlink()
    with pytest.raises(InputError, match=rf"{lacking} lacks 2 of 3 images, the first is 'b'"):
        evaluate_masks(tmp_path / "pred", tmp_path / "truth")


def test_a_folder_that_is_absent_or_without_images_is_named(tmp_path: Path) -> None:
    truth = save(tmp_path / "truth", a=box(0, 0, 9, 9))
    with pytest.raises(InputError, match=r"absent is not a folder"):
        evaluate_masks(tmp_path / "absent", truth)
    with pytest.raises(InputError, match=r"A is not a folder"):
        evaluate_pairs(AnyChange(), truth)
    with pytest.raises(InputError, match=r"holds no pairs"):
        evaluate_pairs(AnyChange(), Dataset("empty", tmp_path, "test", ()))


def test_masks_of_other_sizes_are_refused(tmp_path: Path) -> None:
    pred = save(tmp_path / "pred", a=box(0, 0, 9, 9))
    truth = save(tmp_path / "truth", a=box(0, 0, 9, 9)[:20])
    with pytest.raises(InputError, match=r"a\.png is 32 x 20 px, its partner 32 x 24"):
        evaluate_masks(pred, truth)


def test_an_unreadable_mask_is_named(tmp_path: Path) -> None:
    pred, truth = (save(tmp_path / name, a=box(0, 0, 9, 9)) for name in ("pred", "truth"))
    (truth / "a.png").write_text("not an image")
    with pytest.raises(InputError, match=r"truth\S+a\.png cannot be read as an image"):
        evaluate_masks(pred, truth)


def test_progress_goes_through_the_images(tmp_path: Path) -> None:
    pred, truth = (
        save(tmp_path / name, a=box(0, 0, 9, 9), b=box(0, 0, 9, 9)) for name in ("pred", "truth")
    )
    steps: list[tuple[str, int, int]] = []
    evaluate_masks(pred, truth, progress=lambda *step: steps.append(step))
    assert steps == [("masks", 0, 2), ("masks", 1, 2)]


@pytest.mark.parametrize("asked", [{}, {"angle": 5.0}, {"threshold": "otsu"}])
def test_pairs_are_scored_as_the_model_answers_them_one_by_one(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    folder = made_pairs(tmp_path)
    model = AnyChange()
    result = evaluate_pairs(model, folder, **asked)
    images = []
    for name in ("one", "two"):
        file = f"{name}.png"
        changes = model.detect(folder / "A" / file, folder / "B" / file, **asked)
        truth = np.asarray(Image.open(folder / "label" / file)) > 0
        answer = changes.to_mask(), changes.rles, changes.score
        images.append(ImageCounts.of(name, *answer, truth).as_row())
    assert [image.as_row() for image in result.per_image] == [
        pytest.approx(image, nan_ok=True) for image in images
    ]


def test_a_dataset_and_its_folder_are_the_same(tmp_path: Path) -> None:
    folder = made_pairs(tmp_path)
    results = [evaluate_pairs(AnyChange(), data) for data in (open_dataset(folder), str(folder))]
    assert results[0].as_dict() == results[1].as_dict()


class Difference:
    """A model of change that is none of ours: where the colours differ."""

    def detect(
        self, before: Any, after: Any, *, above: float = 50, progress: Progress = silent
    ) -> BaselineChanges:
        pair = load_pair(before, after)
        difference = np.abs(pair.before.astype(float) - pair.after).mean(2)
        return BaselineChanges.of_intensity(difference, pair, self.describe(), above)

    def describe(self) -> dict[str, Any]:
        return {"model": "difference"}


def test_any_model_of_change_is_asked_with_its_own_settings(tmp_path: Path) -> None:
    folder = made_pairs(tmp_path)
    assert evaluate_pairs(Difference(), folder).pixels.iou == 1
    assert evaluate_pairs(Difference(), folder, above=255).pixels.recall == 0


def test_what_is_not_valid_in_a_pair_is_not_for_the_model(tmp_path: Path) -> None:
    """Both dates differ, black and white, where they are transparent."""
    folder = made_pairs(tmp_path)
    for part, colour in (("A", 0), ("B", 255)):
        image = np.asarray(Image.open(folder / part / "one.png"))
        rgba = np.dstack([image, np.full((48, 64), 255, np.uint8)])
        rgba[30:] = colour, colour, colour, 0
        save(folder / part, one=rgba)
    assert evaluate_pairs(Difference(), folder).pixels.iou == 1


def test_what_appears_is_found_unless_the_angle_forbids_it(tmp_path: Path) -> None:
    folder = made_pairs(tmp_path)
    steps: list[tuple[str, int, int]] = []
    result = evaluate_pairs(AnyChange(), folder, progress=lambda *step: steps.append(step))
    assert result.pixels.iou > 0.9
    assert ar_1000(result) >= 0.9
    assert steps == [("pairs", 0, 2), ("pairs", 1, 2)]
    strict = evaluate_pairs(AnyChange(), folder, angle=180)
    assert (strict.pixels.recall, ar_1000(strict)) == (0, 0)


def test_a_label_of_another_size_is_named(tmp_path: Path) -> None:
    folder = made_pairs(tmp_path)
    save(folder / "label", one=np.zeros((48, 60), np.uint8))
    with pytest.raises(InputError, match=r"label\S+one\.png is 60 x 48 px, its partner 64 x 48"):
        evaluate_pairs(AnyChange(), folder)


def test_a_pair_without_label_is_named(tmp_path: Path) -> None:
    folder = made_pairs(tmp_path)
    (folder / "label" / "two.png").unlink()
    with pytest.raises(InputError, match=r"label lacks 1 of 2 images, the first is 'two'"):
        evaluate_pairs(AnyChange(), folder)
