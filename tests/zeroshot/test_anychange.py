from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import terradelta
from terradelta import AnyChange, Changes, load_segmenter, make_scene
from terradelta.errors import InputError, ModelError, QueryError, UsageError
from terradelta.sam.regions import RegionSegmenter
from terradelta.synth import Scene
from terradelta.zeroshot.anychange import PRESETS
from terradelta.zeroshot.session import Session

Texture = Callable[..., NDArray[np.uint8]]
BOX = np.s_[40:80, 60:110]


class RegionsByRulesOfSam(RegionSegmenter):
    """Duplicates go by their boxes, and a pixel is as changed as the most changed mask on it."""

    pixel_rule = "union"
    overlap_rule = "boxes"


@pytest.fixture(scope="module")
def model() -> AnyChange:
    return AnyChange()


@pytest.fixture(scope="module")
def places() -> list[Scene]:
    return [make_scene(128, seed=seed) for seed in (1, 3)]


@pytest.fixture(scope="module")
def sessions(model: AnyChange, places: list[Scene]) -> Iterator[list[Session]]:
    """One for each place."""
    with ExitStack() as stack:
        yield [stack.enter_context(model.session(p.before, p.after)) for p in places]


@pytest.fixture(scope="module")
def swapped(model: AnyChange, places: list[Scene]) -> Iterator[list[Session]]:
    """The same with the dates swapped."""
    with ExitStack() as stack:
        yield [stack.enter_context(model.session(p.after, p.before)) for p in places]


@pytest.fixture(scope="module")
def unchanged(model: AnyChange, places: list[Scene]) -> Iterator[list[Session]]:
    """Each place beside a copy of itself."""
    with ExitStack() as stack:
        yield [stack.enter_context(model.session(p.before, p.before.copy())) for p in places]


def iou(answer: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float((answer & truth).sum() / (answer | truth).sum())


def paste(texture: Texture, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A green place, and the same with a red rectangle."""
    empty = texture((128, 160), (90, 120, 70), seed=seed)
    built = empty.copy()
    built[BOX] = texture((40, 50), (200, 90, 70), seed=seed + 50, grain=1, spread=8)
    return empty, built


@pytest.mark.parametrize("seed", [2, 3, 4])
@pytest.mark.parametrize("date", ["after", "before"])
def test_a_pasted_rectangle_is_found_with_its_date(
    model: AnyChange, texture: Texture, seed: int, date: str
) -> None:
    empty, built = paste(texture, seed)
    changes = model.detect(empty, built) if date == "after" else model.detect(built, empty)
    truth = np.zeros(empty.shape[:2], bool)
    truth[BOX] = True
    overlap = [iou(mask, truth) for mask in changes.masks()]
    best = int(np.argmax(overlap))
    assert overlap[best] > 0.8
    assert changes.date[best] == date
    assert iou(changes.to_mask(), truth) > 0.8


def test_the_largest_angle_comes_first(sessions: list[Session]) -> None:
    for session in sessions:
        changes = session.detect()
        assert len(changes) > 5
        assert (np.diff(changes.angle) <= 0).all()
        assert changes.angle.min() > changes.threshold


@pytest.mark.parametrize("asked", [{}, {"angle": 15}, {"threshold": "otsu"}, {"top_k": 5}])
def test_swapping_the_dates_gives_the_same_mask(
    sessions: list[Session], swapped: list[Session], asked: dict[str, Any]
) -> None:
    for forth, back in zip(sessions, swapped, strict=True):
        there, again = forth.detect(**asked), back.detect(**asked)
        np.testing.assert_array_equal(there.to_mask(), again.to_mask())
        assert len(there) == len(again)
        assert there.date.count("after") == again.date.count("before")


@pytest.mark.parametrize("asked", [{}, {"angle": 0}, {"threshold": "otsu"}, {"top_k": 5}])
def test_nothing_changes_between_an_image_and_itself(
    unchanged: list[Session], asked: dict[str, Any]
) -> None:
    for session in unchanged:
        changes = session.detect(**asked)
        assert len(changes) == 0
        assert not changes.to_mask().any()


def test_nothing_is_kept_from_one_pair_to_the_next(model: AnyChange, places: list[Scene]) -> None:
    first = model.detect(places[0].before, places[0].after)
    model.detect(places[1].before, places[1].after, angle=50)
    again = model.detect(places[0].before, places[0].after)
    assert again.rles == first.rles
    np.testing.assert_array_equal(again.angle, first.angle)
    np.testing.assert_array_equal(again.to_mask(), first.to_mask())


def test_images_are_not_written_to(model: AnyChange, places: list[Scene]) -> None:
    before, after = places[0].before.copy(), places[0].after.copy()
    before.flags.writeable = after.flags.writeable = False
    model.detect(before, after).overlay()
    np.testing.assert_array_equal(before, places[0].before)


def test_files_and_arrays_give_the_same_changes(
    model: AnyChange, places: list[Scene], tmp_path: Path
) -> None:
    place = places[0]
    place.save(tmp_path)
    Image.fromarray(place.before).save(tmp_path / "before.png")
    Image.fromarray(place.after).save(tmp_path / "after.png")
    arrays = model.detect(place.before, place.after)
    plain = model.detect(tmp_path / "before.png", str(tmp_path / "after.png"))
    placed = model.detect(tmp_path / "before.tif", tmp_path / "after.tif")
    assert arrays.rles == plain.rles == placed.rles
    assert (arrays.pair.georeference, plain.pair.georeference) == (None, None)
    assert placed.to_geodataframe().crs.to_epsg() == 32633


@pytest.mark.parametrize("k", [1, 2, 7, 10_000])
def test_top_k_gives_the_k_largest_angles_at_most(sessions: list[Session], k: int) -> None:
    for session in sessions:
        changes = session.detect(top_k=k)
        assert 0 < len(changes) <= k
        assert (changes.angle > changes.threshold).all()
        more = session.detect(top_k=k + 1)
        np.testing.assert_array_equal(more.angle[: len(changes)], changes.angle)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_mask_of_the_k_largest_angles_is_the_union_of_the_changes(
    sessions: list[Session], k: int
) -> None:
    for session in sessions:
        changes = session.detect(top_k=k)
        assert changes.to_mask().any()
        np.testing.assert_array_equal(changes.to_mask(), changes.masks().any(0))


def test_a_larger_angle_changes_a_subset_of_the_pixels(sessions: list[Session]) -> None:
    for session in sessions:
        answers = [session.detect(angle=angle).to_mask() for angle in range(0, 65, 5)]
        assert answers[0].any()
        assert not answers[-1].any()
        for more, fewer in pairwise(answers):
            assert not (fewer & ~more).any()


def test_by_the_rules_of_sam_a_larger_angle_gives_a_subset(places: list[Scene]) -> None:
    model = AnyChange(RegionsByRulesOfSam(), points_per_side=32)
    for place in places:
        with model.session(place.before, place.after) as session:
            answers = [session.detect(angle=angle) for angle in range(0, 100, 10)]
        assert len(answers[0]) > 50
        assert len(answers[-1]) == 0
        for more, fewer in pairwise(answers):
            assert not (fewer.to_mask() & ~more.to_mask()).any()
            assert fewer.rles == more.rles[: len(fewer)]


def test_by_the_rules_of_sam_the_mask_is_the_union_of_the_changes(places: list[Scene]) -> None:
    model = AnyChange(RegionsByRulesOfSam(), points_per_side=32)
    for place in places:
        changes = model.detect(place.before, place.after)
        np.testing.assert_array_equal(changes.to_mask(), changes.masks().any(0))


@pytest.mark.parametrize("angle", [5, 20, 30])
def test_changes_and_changed_pixels_are_above_the_angle(
    sessions: list[Session], angle: float
) -> None:
    for session in sessions:
        changes = session.detect(angle=angle)
        assert changes.threshold == angle
        assert (changes.angle > angle).all()
        changed = changes.to_mask()
        assert changed.any()
        assert (changes.pixel_angle[changed] > angle).all()


def test_otsu_chooses_the_angle_between_a_new_roof_and_its_unchanged_place(
    model: AnyChange, texture: Texture
) -> None:
    empty, built = paste(texture, 3)
    changes = model.detect(empty, built, threshold="otsu")
    everything = model.detect(empty, built, top_k=10_000)
    assert everything.angle.min() < changes.threshold < everything.angle.max()
    truth = np.zeros(empty.shape[:2], bool)
    truth[BOX] = True
    assert iou(changes.to_mask(), truth) > 0.8


def test_the_default_angle_is_that_of_the_segmenter(
    model: AnyChange, sessions: list[Session]
) -> None:
    assert model.angle == RegionSegmenter.defaults.angle
    assert sessions[0].detect().threshold == model.angle


def test_the_presets_are_those_of_the_paper() -> None:
    paper = {"points_per_side": 64, "pred_iou": 0.5, "stability": 0.8, "nms": 0.7, "angle": 25.0}
    expected = {
        "default": {},
        "paper": paper,
        "paper-xview2": {**paper, "stability": 0.95},
    }
    assert expected == PRESETS


@pytest.mark.parametrize(("preset", "stability"), [("paper", 0.8), ("paper-xview2", 0.95)])
def test_a_preset_overrides_the_segmenter_and_is_itself_overridden(
    preset: str, stability: float
) -> None:
    model = AnyChange(preset=preset)
    assert model.angle == 25
    assert model.settings.points_per_side == 64
    assert (model.settings.pred_iou, model.settings.nms) == (0.5, 0.7)
    assert model.settings.stability == stability
    mine = AnyChange(preset=preset, stability=0.6, points_per_side=12).settings
    assert (mine.stability, mine.points_per_side, mine.pred_iou) == (0.6, 12, 0.5)


def test_without_a_preset_the_settings_are_those_of_the_segmenter(model: AnyChange) -> None:
    defaults = RegionSegmenter.defaults
    for name in ("points_per_side", "pred_iou", "stability", "nms"):
        assert getattr(model.settings, name) == getattr(defaults, name)
    assert model.settings.min_region_area == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("points_per_side", 0),
        ("points_per_side", 1025),
        ("pred_iou", -0.1),
        ("pred_iou", 1.5),
        ("stability", 2),
        ("stability", float("nan")),
        ("nms", -1),
        ("nms", 1.01),
        ("min_region_area", -5),
        ("upscale", 0),
        ("upscale", 9),
    ],
)
def test_a_setting_out_of_its_range_is_named_with_its_value(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=rf"^{name} is {value}: it must lie between"):
        AnyChange(**{name: value})


@pytest.mark.parametrize("name", ["pred_iou", "stability", "nms"])
@pytest.mark.parametrize("value", [0, 1])
def test_the_ends_of_a_range_belong_to_it(name: str, value: float) -> None:
    assert getattr(AnyChange(**{name: value}).settings, name) == value


def test_an_unknown_preset_or_compat_is_named_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"'papper': choose from default, paper, paper-xview2"):
        AnyChange(preset="papper")
    with pytest.raises(UsageError, match=r"'torch': the only one is 'torchange'"):
        AnyChange(compat="torch")


def test_an_unknown_model_is_named_with_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"'rigions'.*regions, sam-vit-b, sam-vit-l, sam-vit-h"):
        AnyChange("rigions")


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"angle": 200}, "200"),
        ({"threshold": "odds"}, "'odds'"),
        ({"top_k": 0}, "top_k is 0"),
        ({"angle": 20, "threshold": "otsu"}, "angle and threshold contradict"),
    ],
)
def test_a_wrong_threshold_is_named(
    model: AnyChange, places: list[Scene], asked: dict[str, Any], named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        model.detect(places[0].before, places[0].after, **asked)


def test_images_that_do_not_fit_each_other_are_refused(
    model: AnyChange, places: list[Scene]
) -> None:
    with pytest.raises(InputError, match=r"128 x 128 px.*128 x 100 px"):
        model.detect(places[0].before, places[0].after[:100])


def test_repr_names_model_preset_and_angle(model: AnyChange) -> None:
    assert repr(model) == "AnyChange('regions', preset='default', angle=23)"
    assert repr(AnyChange(preset="paper")) == "AnyChange('regions', preset='paper', angle=25)"


def test_a_loaded_segmenter_serves_as_model(model: AnyChange, places: list[Scene]) -> None:
    loaded = AnyChange(load_segmenter("regions"))
    place = places[0]
    changes = loaded.detect(place.before, place.after)
    assert changes.rles == model.detect(place.before, place.after).rles


def test_small_islands_and_holes_are_dropped_on_request(places: list[Scene]) -> None:
    place = places[0]
    asked = {"angle": 15}
    rough = AnyChange(points_per_side=48).detect(place.before, place.after, **asked)
    model = AnyChange(points_per_side=48, min_region_area=30)
    clean = model.detect(place.before, place.after, **asked)
    assert rough.area.min() < 30
    for mask in clean.masks():
        outside = ~ndimage.binary_fill_holes(mask, np.ones((3, 3)))
        for part in (mask, ~mask & ~outside):
            pieces, _ = ndimage.label(part, np.ones((3, 3)))
            assert np.bincount(pieces.ravel())[1:].min(initial=30) >= 30


def test_dropping_small_holes_leaves_the_corners_around_a_round_mask_alone() -> None:
    y, x = np.mgrid[:64, :64]
    disc = (x - 32) ** 2 + (y - 32) ** 2 <= 100
    before = np.full((64, 64, 3), (90, 120, 70), np.uint8)
    after = before.copy()
    after[disc] = 210, 80, 60
    rough, clean = (
        AnyChange(points_per_side=32, min_region_area=area).detect(before, after).masks()
        for area in (0, 50)
    )
    best, best_clean = (max(masks, key=lambda mask: iou(mask, disc)) for masks in (rough, clean))
    assert iou(best, disc) > 0.85
    np.testing.assert_array_equal(best_clean, best)


@pytest.mark.parametrize("upscale", [1, 2])
def test_a_change_of_a_few_pixels_is_found(texture: Texture, upscale: int) -> None:
    empty = texture((64, 64), (90, 120, 70), seed=6, spread=6)
    built = empty.copy()
    built[30:36, 20:27] = (210, 80, 60)
    changes = AnyChange(upscale=upscale, points_per_side=64).detect(empty, built)
    truth = np.zeros((64, 64), bool)
    truth[30:36, 20:27] = True
    overlap = [iou(mask, truth) for mask in changes.masks()]
    assert max(overlap) > 0.6
    assert changes.date[int(np.argmax(overlap))] == "after"


def test_progress_is_told_until_all_is_done(model: AnyChange, places: list[Scene]) -> None:
    told: list[tuple[str, int, int]] = []
    model.detect(places[0].before, places[0].after, progress=lambda *step: told.append(step))
    assert told == [("encoding", 0, 2), ("matching", 1, 2), ("matching", 2, 2)]


def test_a_click_outside_or_on_nothing_is_an_error_that_names_it(
    model: AnyChange, places: list[Scene]
) -> None:
    place = places[0]
    with pytest.raises(QueryError, match=r"\(128, 3, after\) lies outside.*128 x 128 px"):
        model.query(place.before, place.after, [(128, 3, "after")])
    flat = np.full((64, 64, 3), 120, np.uint8)
    with pytest.raises(QueryError, match=r"\(5, 3, before\) gives no mask"):
        model.query(flat, flat, [(5, 3, "before")])


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 40), (3, 5)])
def test_images_of_a_few_pixels_give_an_answer(model: AnyChange, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, *shape, 3)).astype(np.uint8)
    assert model.detect(*images, angle=1).to_mask().shape == shape


def test_the_public_names_are_there_and_no_others_are_made_up() -> None:
    assert set(dir(terradelta)) == set(terradelta.__all__)
    for name in terradelta.__all__:
        assert getattr(terradelta, name) is not None
    assert terradelta.Changes is Changes
    with pytest.raises(AttributeError, match="no attribute 'Change'"):
        _ = terradelta.Change


@pytest.mark.parametrize("wrong", ["grid", ["grid", "colour"]])
def test_an_unknown_approximation_is_named(wrong: Any) -> None:
    with pytest.raises(UsageError, match="grid, stability"):
        AnyChange(approximate=wrong)


def test_the_approximate_grid_finds_most_of_the_exact_changes(places: list[Scene]) -> None:
    exact, approximate = (
        AnyChange(points_per_side=48, approximate=names) for names in ((), ("grid",))
    )
    for place in places:
        expected = exact.detect(place.before, place.after).to_mask()
        found = approximate.detect(place.before, place.after).to_mask()
        assert (found & expected).sum() > 0.7 * expected.sum()
