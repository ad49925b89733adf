from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from terradelta import AnyChange
from terradelta.bench.cases import Choice
from terradelta.bench.components import principal_pictures
from terradelta.bench.latent import building_classes, examine, latent_cases
from terradelta.data.dataset import Sample
from terradelta.errors import InputError
from terradelta.geo.pair import load_pair
from terradelta.metrics import PixelCounts
from terradelta.zeroshot.matching import mask_means
from terradelta.zeroshot.query import Click, query_embedding

from .made import ground, made_sample, squares


def town(name: str = "town") -> Sample:
    """Four houses in *before*, three others in *after*; both are all buildings of that date."""
    before, after = ground(0), ground(1)
    there = squares(4), np.roll(squares(3), 3, axis=(0, 1))
    for image, houses in zip((before, after), there, strict=True):
        image[houses] = (210, 200, 190)
    pair = load_pair(before, after)
    classes = tuple(houses.astype(np.uint8) for houses in there)
    return Sample(name, lambda: pair, lambda: there[0] ^ there[1], lambda: classes)


def test_building_classes_are_found_by_their_names() -> None:
    assert building_classes("xview2") == [1, 2, 3, 4, 5]
    assert building_classes("second") == [5]
    assert building_classes("levir-cd") == []
    assert building_classes("folder") == []


def test_things_of_one_kind_are_found_in_both_dates() -> None:
    (case,) = latent_cases(Choice(()), "xview2")
    assert [row.condition for row in case.rows] == ["same date", "other date"]
    loaded = case.load()
    answers = loaded.ask(town())
    assert loaded.settings["clicked"] == "buildings of before"
    for row, houses in zip(case.rows, town().classes() or (), strict=True):
        trials = answers.trials[row.key]
        assert len(trials) == 3
        for trial in trials:
            assert (trial.truth == (houses > 0)).all()
            assert PixelCounts.of(trial.answer, trial.truth).f1 > 0.8
    clicks = [trial.clicks for trial in answers.trials[case.rows[0].key]]
    assert clicks == [trial.clicks for trial in answers.trials[case.rows[1].key]]
    assert len({click for (click,) in clicks}) == 3
    assert {click.date for (click,) in clicks} == {"before"}


def test_ground_is_another_kind_than_houses() -> None:
    model = AnyChange()
    space = examine(model, town().pair())
    on_ground = Click(32.5, 32.5, "before")
    query = query_embedding([on_ground], model.segmenter, [space.examined])
    answer = space.alike(query, 0, model.segmenter)
    assert answer[squares(4)].mean() < 0.1
    assert answer[~squares(4)].mean() > 0.5


def test_a_mask_of_change_alone_is_asked_on_its_own_date() -> None:
    (case,) = latent_cases(Choice(()), "folder")
    assert [row.condition for row in case.rows] == ["same date"]
    sample = made_sample(0, 4)
    loaded = case.load()
    ((trial, *_),) = loaded.ask(sample).trials.values()
    assert loaded.settings["clicked"] == "change in after"
    assert trial.clicks[0].date == "after"
    assert (trial.truth == squares(4)).all()
    assert PixelCounts.of(trial.answer, trial.truth).recall > 0.9


def test_fewer_than_three_objects_are_not_enough() -> None:
    (case,) = latent_cases(Choice(()), "folder")
    with pytest.raises(InputError, match="place_7 has 2 objects to click in after: 3 are needed"):
        case.load().ask(made_sample(7, 2))


def test_the_embeddings_of_both_dates_are_shown() -> None:
    (case,) = latent_cases(Choice(()), "xview2")
    panels = case.load().ask(town()).panels
    assert list(panels) == ["embedding of before", "embedding of after"]
    for panel, houses in zip(panels.values(), town().classes() or (), strict=True):
        assert panel.shape == (64, 64, 3)
        inside, outside = panel[houses > 0], panel[houses == 0]
        assert np.abs(inside.mean(0) - outside.mean(0)).max() > 60


def test_with_sam_the_answer_is_the_union_of_the_proposals_alike(
    sam_folder: Path, noise_pair: tuple[Any, Any]
) -> None:
    model = AnyChange(str(sam_folder), points_per_side=4, pred_iou=0.3, stability=0.3)
    space = examine(model, load_pair(*noise_pair))
    query = query_embedding([Click(80, 40, "before")], model.segmenter, [space.examined])
    for date, name in enumerate(("before", "after")):
        limit = model.segmenter.defaults.object_angle
        proposals = space.proposals[date]
        means = mask_means(proposals.masks, space.examined.encoded[date].embedding)
        cosine = (means @ query[0]) / np.linalg.norm(means, axis=1) / np.linalg.norm(query)
        near = np.degrees(np.arccos(cosine)) <= limit
        expected = proposals.masks.dense()[near].any(0)
        assert (space.alike(query, date, model.segmenter) == expected).all(), name
    pictures = principal_pictures([each.embedding for each in space.examined.encoded])
    assert [picture.shape for picture in pictures] == [noise_pair[0].shape] * 2


def test_other_seeds_click_other_objects() -> None:
    drawn = set()
    for seed in range(4):
        (case,) = latent_cases(Choice((), seed=seed), "folder")
        ((trial, *_),) = case.load().ask(made_sample(0, 4)).trials.values()
        drawn.add(trial.clicks[0])
    assert len(drawn) > 1
    (case,) = latent_cases(Choice((), clicked_date="before"), "folder")
    ((trial, *_),) = case.load().ask(replace(town(), classes=None)).trials.values()
    assert trial.clicks[0].date == "before"
