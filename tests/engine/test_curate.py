from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from terradelta.engine.curate import (
    ALIKE,
    Curation,
    agreeing,
    fingerprint,
    repeated,
    too_much_or_little,
    with_neighbours,
)
from terradelta.engine.labels import Label
from terradelta.errors import UsageError
from terradelta.geo.pair import Pair, load_pair

from .made import images_of, pair_of, squares


def label_of(count: int) -> Label:
    whole = np.ones((64, 64), bool)
    return Label(pair_of(0, count), squares(count), whole, None, {})


def test_a_lone_pixel_and_a_thin_line_have_no_majority_and_a_straight_edge_has() -> None:
    changed = np.zeros((20, 20), bool)
    changed[3, 3] = True
    changed[10, 4:16] = True
    changed[14:] = True
    kept = agreeing(changed, np.ones_like(changed), 3)
    assert not kept[3, 3]
    assert not kept[10, 5:15].any()
    assert kept[14:].all()
    assert kept[13].all()
    assert kept[3, 4]
    assert kept.sum() == 400 - 1 - 12


def test_the_neighbours_of_a_corner_are_three_and_only_the_known_ones_vote() -> None:
    changed = np.zeros((5, 5), bool)
    changed[0, 0] = changed[0, 1] = changed[1, 0] = True
    known = np.ones((5, 5), bool)
    assert agreeing(changed, known, 3)[0, 0]  # three of four
    known[0, 1] = False
    assert agreeing(changed, known, 3)[0, 0]  # two of three
    known[1, 0] = False
    assert not agreeing(changed, known, 3)[0, 0]  # one of two
    known[1, 1] = False
    assert agreeing(changed, known, 3)[0, 0]  # the only one


def test_half_is_no_majority_and_a_window_of_one_keeps_all() -> None:
    changed = np.array([[True, False], [True, False]])
    known = np.ones((2, 2), bool)
    assert not agreeing(changed, known, 3).any()
    assert agreeing(changed, known, 1).all()


def test_pixels_without_their_neighbours_become_unknown_and_are_counted() -> None:
    speckled = label_of(1).changed.copy()
    speckled[60, 60] = True
    label = replace(label_of(1), changed=speckled, facts={"ignored_px": {"dates": 7}})
    curated = with_neighbours(label, Curation(neighbours=5))
    assert not curated.known[60, 60]
    # A corner pixel of a square: 9 of 25 in its window are change.
    assert not curated.known[6, 8]
    assert curated.known[6, 12]
    assert (curated.changed == label.changed).all()
    lost = int((~curated.known).sum())
    assert curated.facts["ignored_px"] == {"dates": 7, "neighbours": lost}
    assert with_neighbours(label, Curation()).known.all()


def test_pairs_with_too_much_or_too_little_change_are_told() -> None:
    share = 2 * 144 / 4096
    label = label_of(2)
    assert label.changed_fraction == share
    assert too_much_or_little(label, Curation()) is None
    assert too_much_or_little(label, Curation(share, share)) is None
    assert too_much_or_little(label, Curation(least_changed=0.08)) == "too little change"
    assert too_much_or_little(label, Curation(most_changed=0.07)) == "too much change"
    nothing = replace(label, known=np.zeros((64, 64), bool))
    assert too_much_or_little(nothing, Curation()) == "nothing known"
    # What is unknown has still changed: it must not help a pair through.
    unknown = replace(label, known=~label.changed)
    assert too_much_or_little(unknown, Curation(most_changed=0.07)) == "too much change"


def test_a_fingerprint_knows_neither_light_nor_contrast_nor_resolution() -> None:
    before, after = images_of(3, 2)
    first = fingerprint(load_pair(before, after))
    brighter = [(image * 0.5 + 100).astype(np.uint8) for image in (before, after)]
    larger = [image.repeat(2, 0).repeat(2, 1) for image in (before, after)]
    assert (first * first).sum(1) == pytest.approx(1, abs=1e-6)
    assert (first * fingerprint(load_pair(*brighter))).sum(1).min() > 0.999
    assert (first * fingerprint(load_pair(*larger))).sum(1) == pytest.approx(1, abs=1e-6)


def test_pairs_repeat_another_if_both_dates_do() -> None:
    def noisy(pair: Pair) -> Pair:
        noise = np.random.default_rng(0).integers(-3, 4, pair.before.shape)
        moved = [
            (image + noise).clip(0, 255).astype(np.uint8) for image in (pair.before, pair.after)
        ]
        return load_pair(*moved)

    first, other = pair_of(1, 2), pair_of(2, 2)
    same_before = load_pair(first.before, pair_of(1, 4).after)
    exchanged = load_pair(first.after, first.before)
    pairs = [first, other, noisy(first), same_before, exchanged, noisy(noisy(first)), other]
    prints = np.stack([fingerprint(pair) for pair in pairs])
    assert repeated(prints, ALIKE).tolist() == [-1, -1, 0, -1, -1, 0, 1]
    assert repeated(prints[:1], ALIKE).tolist() == [-1]


def test_images_of_one_colour_are_alike() -> None:
    def flat(value: int) -> Pair:
        image = np.full((40, 30, 3), value, np.uint8)
        return load_pair(image, image)

    prints = np.stack([fingerprint(pair) for pair in (flat(9), pair_of(), flat(200))])
    assert repeated(prints, 0.9).tolist() == [-1, -1, 0]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"least_changed": 0.5, "most_changed": 0.2}, "the smaller first"),
        ({"most_changed": 1.5}, "shares from 0 to 1"),
        ({"neighbours": 4}, "odd side"),
        ({"neighbours": 0}, "odd side"),
        ({"alike": 0.0}, "a correlation above 0"),
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Curation(**values)
