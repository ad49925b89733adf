from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from terradelta.baselines import i3pe_exchange
from terradelta.baselines.i3pe_exchange import (
    MadePair,
    SingleDate,
    chosen_patches,
    clusters_of,
    exchange_between,
    exchange_within,
    in_other_light,
    looks_of,
    make_pair,
    objects_of,
    relit,
    swapped_patches,
    turned,
)

PALETTE = np.array([[200, 60, 50], [60, 170, 70], [50, 80, 190], [220, 210, 90]], np.uint8)


def random_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def cover_of(height: int, width: int, seed: int = 0, field: int = 8) -> NDArray[np.int64]:
    """Square fields of four kinds at random."""
    coarse = random_of(seed).integers(0, 4, (-(-height // field), -(-width // field)))
    return np.kron(coarse, np.ones((field, field), np.int64))[:height, :width]


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return random_of(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def same_light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i3pe_exchange, "relit", lambda pair, random: pair)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("patch", [16, 32])
def test_within_an_image_the_label_is_exactly_what_changed(seed: int, patch: int) -> None:
    """The colour tells the cover, so what changed can be seen in the made pair."""
    cover = cover_of(100, 140, seed)
    valid = np.ones(cover.shape, bool)
    made = exchange_within(PALETTE[cover], cover, valid, patch, random_of(seed))
    np.testing.assert_array_equal(made.changed, (made.before != made.after).any(2))
    np.testing.assert_array_equal(made.before, PALETTE[cover])
    assert 0.3 < made.changed.mean() < 0.75
    assert made.valid.all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("patch", [16, 32])
def test_between_images_the_label_is_exactly_what_changed(seed: int, patch: int) -> None:
    covers = cover_of(100, 140, seed), cover_of(100, 140, seed + 10)
    images = PALETTE[covers[0]], PALETTE[covers[1]]
    valid = np.ones((100, 140), bool)
    made = exchange_between(images, covers, (valid, valid), patch, random_of(seed))
    np.testing.assert_array_equal(made.changed, (made.before != made.after).any(2))
    np.testing.assert_array_equal(made.before, images[0])
    new = (made.after != images[0]).any(2)
    np.testing.assert_array_equal(made.after[new], images[1][new])


def test_patches_of_one_kind_of_cover_are_exchanged_without_change() -> None:
    image, cover = noise(64, 64, 3), np.zeros((64, 64), np.int64)
    made = exchange_within(image, cover, np.ones((64, 64), bool), 16, random_of())
    assert not made.changed.any()
    assert (made.before != made.after).any(2).mean() > 0.7


def test_three_quarters_of_the_patches_change_places_two_by_two() -> None:
    source = swapped_patches((70, 100), 16, random_of())
    plain = np.arange(7000).reshape(70, 100)
    np.testing.assert_array_equal(np.sort(source.ravel()), plain.ravel())
    np.testing.assert_array_equal(source.ravel()[source], plain)
    moved = source != plain
    assert not moved[64:].any()
    assert not moved[:, 96:].any()
    patches = moved[:64, :96].reshape(4, 16, 6, 16).swapaxes(1, 2).reshape(24, -1)
    assert (patches.all(1) == patches.any(1)).all()
    assert patches.all(1).sum() == 18
    steps = source[:64, :96].reshape(4, 16, 6, 16).swapaxes(1, 2).reshape(24, 16, 16)
    np.testing.assert_array_equal(np.diff(steps, axis=1), 100)
    np.testing.assert_array_equal(np.diff(steps, axis=2), 1)


def test_three_quarters_of_the_patches_come_from_the_other_image() -> None:
    chosen = chosen_patches((64, 96), 16, random_of())
    patches = chosen.reshape(4, 16, 6, 16).swapaxes(1, 2).reshape(24, -1)
    assert (patches.all(1) == patches.any(1)).all()
    assert patches.all(1).sum() == 18


def test_pixels_that_lack_data_on_either_side_do_not_count() -> None:
    cover, image = cover_of(64, 64), noise(64, 64, 3)
    valid = random_of(1).random((64, 64)) < 0.8
    marked = np.where(valid, 255, 0).astype(np.uint8)[..., None].repeat(3, 2)
    within = exchange_within(marked, cover, valid, 16, random_of(2))
    np.testing.assert_array_equal(within.valid, valid & (within.after[..., 0] == 255))
    between = exchange_between(
        (image, marked), (cover, cover), (np.ones_like(valid), valid), 16, random_of(2)
    )
    replaced = chosen_patches((64, 64), 16, random_of(2))
    np.testing.assert_array_equal(between.valid, valid | ~replaced)


def test_objects_are_compact_and_numbered() -> None:
    image = PALETTE[cover_of(128, 128, field=32)]
    objects = objects_of(image)
    assert np.unique(objects).tolist() == list(range(objects.max() + 1))
    assert 150 < objects.max() < 400
    cover = cover_of(128, 128, field=32)
    pure = [len(np.unique(cover[objects == number])) == 1 for number in range(objects.max() + 1)]
    assert np.mean(pure) > 0.9


def test_looks_are_mean_and_deviation_of_each_object() -> None:
    image, objects = noise(20, 30, 3), random_of().integers(0, 7, (20, 30))
    expected = [
        [*image[objects == number].mean(0), *image[objects == number].std(0)] for number in range(7)
    ]
    np.testing.assert_allclose(looks_of(image, objects), expected)


def test_clusters_are_as_many_as_the_looks_have_and_outliers_are_in_none() -> None:
    centres = np.repeat([[0.0] * 6, [100.0] * 6, [200.0] * 6], 20, axis=0)
    looks = np.concatenate([centres + random_of().normal(0, 1, (60, 6)), [[150.0] * 6]])
    clusters = clusters_of(looks, 7.0)
    assert [len(set(clusters[start : start + 20])) for start in (0, 20, 40)] == [1, 1, 1]
    assert sorted(set(clusters.tolist())) == [-1, 0, 1, 2]
    assert clusters[60] == -1


@pytest.mark.usefixtures("same_light")
def test_made_pairs_are_labelled_by_what_can_be_seen() -> None:
    """From the image alone: objects, clusters, exchange and turning end in the true change."""
    plain = [PALETTE[cover_of(128, 128, seed, field=32)] for seed in (0, 1)]
    dates = [SingleDate.of(image, np.ones((128, 128), bool), 64) for image in plain]
    random = random_of()
    wrong = []
    for _ in range(30):
        made = make_pair(dates[0], dates[1], 64, random)
        assert made.before.shape == made.after.shape == (64, 64, 3)
        wrong.append((made.changed != (made.before != made.after).any(2)).mean())
    assert np.mean(wrong) < 0.03


@pytest.mark.usefixtures("same_light")
def test_both_exchanges_and_all_sizes_of_patches_occur(monkeypatch: pytest.MonkeyPatch) -> None:
    image = SingleDate.of(PALETTE[cover_of(80, 80)], np.ones((80, 80), bool), 64)
    seen = []
    for name in ("exchange_within", "exchange_between"):
        plain = getattr(i3pe_exchange, name)

        def noted(*given: Any, name: str = name, plain: Any = plain) -> MadePair:
            seen.append((name, given[-2]))
            made: MadePair = plain(*given)
            return made

        monkeypatch.setattr(i3pe_exchange, name, noted)
    for _ in range(40):
        make_pair(image, image, 64, random_of(len(seen)))
    kinds = {
        (name, patch) for name in ("exchange_within", "exchange_between") for patch in (16, 32)
    }
    assert set(seen) == kinds


def test_light_changes_colours_and_nothing_else() -> None:
    cover = cover_of(64, 64)
    pair = exchange_within(PALETTE[cover], cover, np.ones((64, 64), bool), 16, random_of())
    kinds = set()
    for seed in range(40):
        lit = relit(pair, random_of(seed))
        np.testing.assert_array_equal(lit.changed, pair.changed)
        kinds.add(((lit.before != pair.before).any(), (lit.after != pair.after).any()))
    assert len(kinds) == 4
    grey = np.full((8, 8, 3), 100, np.uint8)
    levels = [int(in_other_light(grey, random_of(seed))[4, 4, 0]) for seed in range(60)]
    assert 45 <= min(levels) < 80
    assert 150 < max(levels) <= 200


def test_turning_keeps_everything_in_place() -> None:
    cover = cover_of(48, 48)
    pair = exchange_within(PALETTE[cover], cover, np.ones((48, 48), bool), 16, random_of())
    ways = set()
    for seed in range(60):
        made = turned(pair, random_of(seed))
        np.testing.assert_array_equal(made.changed, (made.before != made.after).any(2))
        ways.add(made.before.tobytes())
    assert len(ways) == 8


def test_small_images_are_continued_to_the_size_of_a_made_pair() -> None:
    date = SingleDate.of(noise(40, 50, 3), np.ones((40, 50), bool), 64)
    assert date.image.shape == (64, 64, 3)
    assert date.objects.shape == date.valid.shape == (64, 64)
    assert date.valid.sum() == 40 * 50
