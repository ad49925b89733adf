"""Answers of a network that can be worked out by hand; see `toy`."""

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco
from rasterio.transform import Affine
from shapely.geometry import box

from terradelta.detectors import build_detector, changes, normalise, save_detector
from terradelta.detectors.changes import DetectorModel, load_change_detector
from terradelta.errors import InputError, ModelError, UsageError

from .toy import Toy, register, saved

RGB = NDArray[np.uint8]
STRONG, WEAK = (10, 5, 30, 15), (50, 20, 60, 40)
"""Boxes in which the dates differ by 90 and by 70 grey levels: logits 4 and 2."""
SURE, LIKELY = 1 / (1 + np.exp(-4)), 1 / (1 + np.exp(-2))
NEVER = 1 / (1 + np.exp(5))


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch)


@pytest.fixture
def model(tmp_path: Path) -> DetectorModel:
    return load_change_detector(saved(tmp_path / "toy"))


def images(shape: tuple[int, int] = (48, 80)) -> tuple[RGB, RGB]:
    before = np.full((*shape, 3), 60, np.uint8)
    after = before.copy()
    for (x0, y0, x1, y1), step in ((STRONG, 90), (WEAK, 70)):
        after[y0:y1, x0:x1] += np.uint8(step)
    return before, after


def noise(shape: tuple[int, int]) -> tuple[RGB, RGB]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (2, *shape, 3)).astype(np.uint8)  # type: ignore[return-value]


def inside(*boxes: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    mask = np.zeros((48, 80), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def test_objects_and_pixels_are_those_above_the_threshold(model: DetectorModel) -> None:
    found = model.detect(*images())
    assert len(found) == 2
    np.testing.assert_allclose(found.score, [SURE, LIKELY], rtol=1e-5)
    assert found.boxes.tolist() == [list(STRONG), list(WEAK)]
    assert [coco.area(rle) for rle in found.rles] == [200, 200]
    np.testing.assert_array_equal(found.to_mask(), inside(STRONG, WEAK))
    expected = np.where(inside(STRONG), SURE, np.where(inside(WEAK), LIKELY, NEVER))
    assert found.score_image().dtype == np.float32
    np.testing.assert_allclose(found.score_image(), expected, rtol=1e-4)
    strict = model.detect(*images(), threshold=0.9)
    np.testing.assert_array_equal(strict.to_mask(), inside(STRONG))
    assert len(strict) == 1


def test_corners_that_touch_are_one_object(model: DetectorModel) -> None:
    before, after = (np.full((8, 8, 3), 60, np.uint8) for _ in range(2))
    after[:4, :4] = after[4:, 4:] = 160
    assert len(model.detect(before, after)) == 1


def test_what_is_not_valid_is_no_change(model: DetectorModel) -> None:
    before, after = images()
    opaque = np.full((48, 80), 255, np.uint8)
    opaque[:, :20] = 0
    found = model.detect(np.dstack([before, opaque]), np.dstack([after, opaque]))
    assert found.boxes.tolist() == [[20, 5, 30, 15], list(WEAK)]
    assert not found.score_image()[:, :20].any()
    everything = model.detect(np.dstack([before, opaque]), np.dstack([after, opaque]), threshold=0)
    np.testing.assert_array_equal(everything.to_mask(), opaque > 0)


def test_a_large_image_in_windows_is_answered_as_if_it_were_looked_at_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The halo reaches further than twice the network does."""
    model = load_change_detector(saved(tmp_path, level=85, reach=7))
    pair = noise((150, 203))
    whole = model.detect(*pair)
    monkeypatch.setattr(changes, "CORE_PX", 64)
    monkeypatch.setattr(changes, "HALO_PX", 16)
    steps: list[Any] = []
    parts = model.detect(*pair, progress=lambda *step: steps.append(step))
    assert steps == [("windows", done, 12) for done in range(12)]
    np.testing.assert_allclose(parts.score_image(), whole.score_image(), atol=1e-5)
    assert 0.1 < whole.to_mask().mean() < 0.9
    np.testing.assert_array_equal(parts.to_mask(), whole.to_mask())


def test_of_several_kinds_change_is_all_but_the_first(tmp_path: Path) -> None:
    found = load_change_detector(saved(tmp_path, classes=3)).detect(*images())
    changed = 2 * np.exp(4) / (1 + 2 * np.exp(4))
    assert found.score_image()[8, 15] == pytest.approx(changed, rel=1e-5)


def test_a_network_from_the_registry_gives_the_probability_of_its_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = build_detector("fc-siam-diff").eval()
    save_detector(detector, tmp_path)
    pair = noise((50, 37))
    with torch.no_grad():
        tensors = [normalise(torch.from_numpy(one).permute(2, 0, 1)[None]) for one in pair]
        expected = detector(*tensors)[0, 0].sigmoid().numpy()
    found = load_change_detector(tmp_path, dtype=torch.float32).detect(*pair)
    np.testing.assert_allclose(found.score_image(), expected, atol=1e-6)
    coarse = load_change_detector(tmp_path, dtype=torch.bfloat16).detect(*pair)
    np.testing.assert_allclose(coarse.score_image(), expected, atol=0.05)
    assert not np.array_equal(coarse.score_image(), found.score_image())


def test_images_of_one_pixel_and_without_change(model: DetectorModel) -> None:
    grey = np.full((1, 1, 3), 60, np.uint8)
    none = model.detect(grey, grey)
    assert (len(none), none.score.shape, none.rles) == (0, (0,), [])
    one = model.detect(grey, grey + np.uint8(100))
    assert one.boxes.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(
    model: DetectorModel, threshold: float
) -> None:
    with pytest.raises(UsageError, match=rf"the probability is {threshold}: it must lie between"):
        model.detect(*images(), threshold=threshold)


def test_images_that_do_not_fit_are_refused(model: DetectorModel) -> None:
    with pytest.raises(InputError, match="differ in size"):
        model.detect(images()[0], images()[1][:, :40])


def test_a_folder_without_a_detector_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(ModelError, match=f"{missing} is not the folder of a detector"):
        load_change_detector(missing)
    saved(tmp_path / "one")
    (tmp_path / "one" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=str(tmp_path / "one")):
        load_change_detector(tmp_path / "one")


def test_an_answer_that_is_no_number_is_an_error() -> None:
    broken = Toy(1, 0)
    with torch.no_grad():
        broken.level.fill_(float("nan"))
    with pytest.raises(ModelError, match="no number"):
        DetectorModel(broken).detect(*images())


def test_it_tells_its_settings_and_which_weights_it_has(tmp_path: Path) -> None:
    first, same, other = (
        load_change_detector(saved(tmp_path / name, level=level)).describe()
        for name, level in (("a", 50), ("b", 50), ("c", 51))
    )
    assert json.loads(json.dumps(first)) == first == same
    assert first["model"] == "toy"
    assert first["detector"] == {"classes": 1}
    assert first.pop("weights_sha256") != other.pop("weights_sha256")
    assert first == other


def test_plain_files_hold_the_answer(model: DetectorModel, tmp_path: Path) -> None:
    found = model.detect(*images())
    names = ["changes.geojson", "change_mask.png", "score.png", "overlay.png", "run.json"]
    assert [path.name for path in found.save(tmp_path / "out")] == names
    read = {name: np.asarray(Image.open(tmp_path / "out" / name)) for name in names[1:4]}
    np.testing.assert_array_equal(read["change_mask.png"] > 0, inside(STRONG, WEAK))
    assert read["score.png"][8, 15] == round(255 * SURE)
    assert read["score.png"][0, 0] == round(255 * NEVER)
    strong, weak = json.loads((tmp_path / "out" / "changes.geojson").read_text())["features"]
    assert strong["properties"] == {
        "id": 1,
        "date": "both",
        "score": round(float(SURE), 5),
        "area_px": 200,
    }
    assert weak["geometry"]["type"] == "Polygon"
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["threshold_probability"] == 0.5
    assert record["score_image"] == "grey, a probability of 1 is white"
    assert (record["model"], record["changes"]) == ("toy", 2)
    # Both panels are outlined in a colour of their own.
    assert (read["overlay.png"] == (255, 80, 200)).all(-1).sum() > 100


def test_placed_files_lie_where_the_images_do(model: DetectorModel, tmp_path: Path) -> None:
    transform = Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000)
    paths = [tmp_path / "before.tif", tmp_path / "after.tif"]
    for path, image in zip(paths, images(), strict=True):
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "width": 80, "height": 48}
        with rasterio.open(path, "w", crs="EPSG:32633", transform=transform, **profile) as target:
            target.write(image.transpose(2, 0, 1))
    model.detect(*paths).save(tmp_path / "out")
    table = geopandas.read_file(tmp_path / "out" / "changes.gpkg")
    assert table.crs.to_epsg() == 32633
    assert table.geometry[0].equals(box(500_005, 5_399_992.5, 500_015, 5_399_997.5))
    with rasterio.open(tmp_path / "out" / "score.tif") as source:
        assert source.descriptions == ("probability of change",)
        assert source.read(1)[8, 15] == pytest.approx(SURE, rel=1e-5)
