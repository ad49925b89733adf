"""What holds for every baseline that learns from the pair alone."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terradelta.baselines import load_baseline
from terradelta.baselines.irmad import Irmad
from terradelta.baselines.isfa import Isfa
from terradelta.baselines.kpca_mnet import KpcaMnet
from terradelta.baselines.obcd import Obcd
from terradelta.errors import InputError
from terradelta.metrics import PixelCounts
from terradelta.synth import Scene, make_scene
from terradelta.types import ChangeModel

PAIRS = Path(__file__).parents[3] / "shared/data/pairs"
MAKERS: dict[str, Callable[[], ChangeModel]] = {
    "irmad": Irmad,
    "isfa": Isfa,
    "obcd": Obcd,
    "kpca-mnet": KpcaMnet,
}
each = pytest.mark.parametrize("name", MAKERS)


@pytest.fixture(scope="module")
def made() -> Scene:
    return make_scene(96, seed=3)


@pytest.mark.parametrize(
    ("name", "seed"),
    [*((name, 0) for name in MAKERS), ("cva", 3), ("sam-mask-match", 3), ("sam-cva-match", 3)],
)
def test_made_changes_are_found_better_than_by_trivial_answers(name: str, seed: int) -> None:
    scene = make_scene(256, seed=seed)
    mask = load_baseline(name).detect(scene.before, scene.after).to_mask()
    everything = PixelCounts.of(np.ones_like(scene.truth), scene.truth)
    nothing = PixelCounts.of(np.zeros_like(scene.truth), scene.truth)
    found = PixelCounts.of(mask, scene.truth)
    assert nothing.f1 == 0
    assert found.f1 > everything.f1 + 0.15


@each
def test_identical_dates_have_no_change(name: str, made: Scene) -> None:
    changes = MAKERS[name]().detect(made.after, made.after)
    assert len(changes) == 0
    assert not changes.to_mask().any()
    assert not changes.score_image().any()


@each
def test_one_pixel_has_no_change(name: str) -> None:
    changes = MAKERS[name]().detect(np.zeros((1, 1), np.uint8), np.full((1, 1), 200, np.uint8))
    assert not changes.to_mask().any()


@each
@pytest.mark.parametrize("shape", [(1, 9), (2, 2), (31, 1)])
def test_tiny_images_give_an_answer(name: str, shape: tuple[int, int]) -> None:
    before, after = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    changes = MAKERS[name]().detect(before, after)
    assert changes.score_image().shape == shape
    assert np.isfinite(changes.score_image()).all()


@each
def test_one_band_is_enough(name: str, made: Scene) -> None:
    changes = MAKERS[name]().detect(made.before[..., 1], made.after[..., 1])
    assert 0 < changes.to_mask().mean() < 0.5


@each
def test_what_lies_below_invalid_pixels_does_not_matter(name: str, made: Scene) -> None:
    valid = np.ones((96, 96), bool)
    valid[:, 60:] = False
    alpha = (255 * valid[..., None]).astype(np.uint8)
    answers = []
    for rubbish in (0, 255):
        before = np.concatenate([np.where(valid[..., None], made.before, 255 - rubbish), alpha], 2)
        after = np.concatenate([np.where(valid[..., None], made.after, rubbish), alpha], 2)
        answers.append(MAKERS[name]().detect(before.astype(np.uint8), after.astype(np.uint8)))
    np.testing.assert_array_equal(answers[0].score_image(), answers[1].score_image())
    assert answers[0].score_image()[:, :60].any()
    assert not answers[0].score_image()[:, 60:].any()
    assert not answers[0].to_mask()[:, 60:].any()


@pytest.mark.parametrize("name", ["irmad", "isfa"])
def test_pixels_are_judged_as_if_the_invalid_ones_were_cut_off(name: str, made: Scene) -> None:
    alpha = np.full((96, 96, 1), 255, np.uint8)
    alpha[:, 60:] = 0
    before, after = (np.concatenate([date, alpha], 2) for date in (made.before, made.after))
    masked = MAKERS[name]().detect(before, after).score_image()[:, :60]
    cut = MAKERS[name]().detect(made.before[:, :60], made.after[:, :60]).score_image()
    np.testing.assert_allclose(masked, cut, rtol=1e-5)


@each
def test_without_a_valid_pixel_there_is_nothing_to_compare(name: str) -> None:
    nothing = np.zeros((8, 8, 4), np.uint8)
    with pytest.raises(InputError, match="no valid pixel"):
        MAKERS[name]().detect(nothing, nothing)


@each
def test_the_same_call_gives_the_same_answer(name: str, made: Scene) -> None:
    model = MAKERS[name]()
    one, two = (model.detect(made.before, made.after) for _ in range(2))
    np.testing.assert_array_equal(one.score_image(), two.score_image())
    assert one.rles == two.rles


@each
def test_progress_is_told(name: str, made: Scene) -> None:
    told: list[tuple[str, int, int]] = []
    MAKERS[name]().detect(made.before, made.after, progress=lambda *step: told.append(step))
    assert told
    assert all(0 <= done <= total for _, done, total in told)


@each
def test_settings_are_json_and_name_the_model(name: str, made: Scene) -> None:
    model = MAKERS[name]()
    settings = model.describe()
    assert settings["model"] == name
    assert json.loads(json.dumps(settings)) == settings
    assert model.detect(made.before, made.after).settings == settings


@each
@pytest.mark.skipif(not PAIRS.is_dir(), reason="the real pairs are not here")
def test_real_pairs_give_an_answer_that_is_neither_nothing_nor_everything(name: str) -> None:
    folder = PAIRS / "dsifn_256"
    before = sorted((folder / "A").iterdir())[0]
    after, label = (folder / part / before.name for part in ("B", "label"))
    after, label = (next(path.parent.glob(f"{path.stem}.*")) for path in (after, label))
    mask = MAKERS[name]().detect(before, after).to_mask()
    assert mask.shape == np.asarray(Image.open(label)).shape[:2]
    assert 0.02 < mask.mean() < 0.6
