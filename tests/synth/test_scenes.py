import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scipy.ndimage import distance_transform_edt

from terradelta.errors import UsageError
from terradelta.synth import EventKind, Nuisance, Scene, SceneSource, make_scene
from terradelta.synth.light import TALLEST

KINDS = set(EventKind)


@cache
def scene(seed: int) -> Scene:
    return make_scene(512, seed=seed)


@cache
def still_scene() -> Scene:
    """Nothing but the events differs."""
    return make_scene(512, seed=4, nuisance=Nuisance.none())


def test_arrays_have_the_documented_types() -> None:
    made = make_scene((48, 80), seed=1)
    for image in (made.before, made.after):
        assert (image.shape, image.dtype) == ((48, 80, 3), np.uint8)
    assert (made.truth.shape, made.truth.dtype) == ((48, 80), bool)
    assert (made.fringe.shape, made.fringe.dtype) == ((48, 80), bool)
    assert (made.event_map.shape, made.event_map.dtype) == ((48, 80), np.int32)


def test_the_same_arguments_give_the_same_scene() -> None:
    one, other = make_scene(128, seed=7), make_scene(128, seed=7)
    np.testing.assert_array_equal(one.before, other.before)
    np.testing.assert_array_equal(one.after, other.after)
    np.testing.assert_array_equal(one.event_map, other.event_map)
    assert one.events == other.events
    assert (make_scene(128, seed=8).before != one.before).mean() > 0.5


def test_the_look_of_scenes_is_pinned() -> None:
    """Not to the byte: vectorised sines and exponentials differ by a unit from CPU to CPU."""
    made = make_scene(96, seed=3)
    np.testing.assert_allclose(made.before.mean((0, 1)), [91.37, 96.47, 75.43], atol=0.05)
    np.testing.assert_allclose(made.after.mean((0, 1)), [103.36, 99.14, 75.3], atol=0.05)


@pytest.mark.parametrize("tile", [190, 300])
def test_tiles_of_any_size_make_the_same_picture(tile: int) -> None:
    whole = scene(2)
    source = SceneSource(512, seed=2)
    picture, truth, fringe = np.zeros_like(whole.after), *np.zeros((2, 512, 512), bool)
    for y in range(0, 512, tile):
        for x in range(0, 512, tile):
            window = (x, y, min(x + tile, 512), min(y + tile, 512))
            here = slice(y, window[3]), slice(x, window[2])
            picture[here] = source.render("after", window)
            truth[here] = source.truth(window)
            fringe[here] = source.fringe(window)
    np.testing.assert_array_equal(picture, whole.after)
    np.testing.assert_array_equal(truth, whole.truth)
    np.testing.assert_array_equal(fringe, whole.fringe)


def test_a_window_of_a_huge_scene_needs_no_huge_memory() -> None:
    source = SceneSource(100_000, seed=0)
    image = source.render("before", (99_900, 31_000, 100_000, 31_060))
    assert image.shape == (60, 100, 3)
    assert image.std() > 3


def test_a_small_scene_is_the_middle_of_a_large_one() -> None:
    small = make_scene(64, seed=4, nuisance=Nuisance.none())
    np.testing.assert_array_equal(small.after, still_scene().after[224:288, 224:288])


def test_without_nuisance_only_events_differ() -> None:
    made = still_scene()
    differs = (made.before != made.after).any(axis=-1)
    assert not (differs & ~made.truth & ~made.fringe).any()
    assert differs[made.truth].mean() > 0.999


def test_the_fringe_is_no_wider_than_a_shadow_a_drive_and_the_blur() -> None:
    made, sun = still_scene(), Nuisance.none().before
    longest = TALLEST / np.tan(np.radians(sun.sun_elevation)) / 0.5
    away = distance_transform_edt(~made.truth)[made.fringe]
    assert away.max() < longest + 30
    assert made.fringe.mean() < 0.15


def test_without_events_and_nuisance_nothing_differs() -> None:
    made = make_scene(256, seed=5, events=(), nuisance=Nuisance.none())
    np.testing.assert_array_equal(made.before, made.after)
    assert made.events == ()
    assert not made.truth.any()
    assert not made.fringe.any()


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_half_a_thousand_pixels_hold_a_mix_of_events(seed: int) -> None:
    made = scene(seed)
    assert len({event.kind for event in made.events}) >= 4
    assert 0.05 < made.truth.mean() < 0.25
    assert abs(float(made.before.mean()) - 85) < 20


@pytest.mark.parametrize("seed", [0, 1])
def test_a_thousand_pixels_hold_every_kind_of_event(seed: int) -> None:
    source = SceneSource(1024, seed=seed)
    numbers = source.event_numbers()
    present = np.unique(numbers[numbers > 0])
    assert {source.event_kind(int(number)) for number in present} == KINDS
    assert 0.03 < (numbers > 0).mean() < 0.15


@pytest.mark.parametrize("kind", list(EventKind))
def test_only_the_wanted_kinds_happen(kind: EventKind) -> None:
    made = make_scene(512, seed=0, events=(kind,))
    assert {event.kind for event in made.events} == {kind}


def test_events_sum_up_to_the_truth() -> None:
    made = scene(0)
    np.testing.assert_array_equal(made.event_map > 0, made.truth)
    assert sum(event.area_px for event in made.events) == made.truth.sum()
    for label, event in enumerate(made.events, start=1):
        mask = made.event_map == label
        rows, columns = np.nonzero(mask)
        assert event.area_px == len(rows)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert event.bounds == box


def test_the_footprint_is_the_truth_of_a_building() -> None:
    made = scene(0)
    for event in made.events:
        if event.kind in (EventKind.BUILT, EventKind.DEMOLISHED):
            assert 15 < event.area_px * 0.25 < 2000


def test_an_unchanged_field_differs_less_than_a_ploughed_one() -> None:
    made = scene(0)
    difference = np.abs(made.after.astype(int) - made.before).mean(axis=-1)
    (ploughed, *_) = [
        label
        for label, event in enumerate(made.events, start=1)
        if event.kind is EventKind.PLOUGHED
    ]
    untouched = ~made.truth & ~made.fringe
    assert np.median(difference[made.event_map == ploughed]) > 2 * np.median(difference[untouched])


def test_a_saved_scene_reads_back(tmp_path: Path) -> None:
    made = make_scene((96, 128), seed=0, resolution=0.3)
    made.save(tmp_path / "scene")
    names = ["after.tif", "before.tif", "events.json", "truth.tif"]
    assert sorted(path.name for path in (tmp_path / "scene").iterdir()) == names
    for name, expected in (("before", made.before), ("after", made.after)):
        with rasterio.open(tmp_path / "scene" / f"{name}.tif") as source:
            np.testing.assert_array_equal(np.moveaxis(source.read(), 0, -1), expected)
            assert source.crs.to_string() == made.crs
            assert source.res == (0.3, 0.3)
            assert source.crs.is_projected
            assert source.transform.e < 0
    with rasterio.open(tmp_path / "scene" / "truth.tif") as source:
        np.testing.assert_array_equal(source.read(1), 255 * made.truth.astype(np.uint8))
    description = json.loads((tmp_path / "scene" / "events.json").read_text())
    assert description["transform"] == list(made.transform)[:6]
    assert [event["kind"] for event in description["events"]] == [e.kind for e in made.events]
    assert [event["area_px"] for event in description["events"]] == [
        event.area_px for event in made.events
    ]


def test_scenes_of_any_size_share_their_middle_on_the_ground() -> None:
    large, small = SceneSource(512), SceneSource((100, 200))
    for source, (column, row) in ((large, (256, 256)), (small, (100, 50))):
        t = source.transform
        assert (t.c + column * t.a, t.f + row * t.e) == (512_000, 5_403_000)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ({"size": 8}, "8"),
        ({"size": (64, 64, 3)}, "3"),
        ({"size": 64.5}, "64.5"),
        ({"seed": -1}, "-1"),
        ({"seed": 1.5}, "1.5"),
        ({"resolution": 0.01}, "0.01"),
        ({"resolution": float("nan")}, "nan"),
        ({"events": ("burnt",)}, "burnt"),
        ({"events": "built"}, "built"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], value: str) -> None:
    with pytest.raises(UsageError, match=value):
        make_scene(**arguments)


@pytest.mark.parametrize("window", [(0, 0, 0, 10), (-1, 0, 10, 10), (0, 0, 65, 10), (5, 5, 2, 9)])
def test_a_window_outside_the_scene_is_refused(window: tuple[int, int, int, int]) -> None:
    with pytest.raises(UsageError, match="window"):
        SceneSource(64).render("before", window)


def test_a_date_is_before_or_after() -> None:
    with pytest.raises(UsageError, match="during"):
        SceneSource(64).render("during")  # type: ignore[arg-type]
