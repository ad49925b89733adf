from pathlib import Path

import numpy as np
import pytest

from terradelta import AnyChange
from terradelta.baselines import BASELINES, load_baseline
from terradelta.bench.cases import Choice
from terradelta.bench.methods import (
    METHODS,
    images_of,
    load_anychange,
    method_cases,
    row_of,
    settings_of,
    slug,
)
from terradelta.errors import ModelError, UsageError
from terradelta.geo.pair import load_pair

from .made import made_dataset, made_sample, squares


def test_every_method_is_there_with_every_backbone_of_its_kind() -> None:
    choice = Choice(METHODS, ("regions", "sam-vit-b"), ("dinov2-s", "dinov2-g"))
    cases = method_cases(choice, "folder")
    per_need = {"segmenter": 2, "features": 2, "backbone": 1, None: 1}
    expected = 2 + sum(per_need[card.needs] for card in BASELINES.values())
    keys = [row.key for case in cases for row in case.rows]
    assert len(keys) == len(set(keys)) == expected
    assert keys[:2] == ["anychange-regions", "anychange-sam-vit-b"]
    assert all(len(case.rows) == 1 for case in cases)


def test_an_unknown_method_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="unknown method 'magic': choose from anychange, cva"):
        method_cases(Choice(("cva", "magic")), "folder")


def test_answers_are_those_of_the_methods_themselves() -> None:
    sample = made_sample(0, 3)
    pair = sample.pair()
    models = {"anychange": AnyChange(), "cva": load_baseline("cva")}
    for case in method_cases(Choice(tuple(models)), "folder"):
        ((key, (trial,)),) = case.load().ask(sample).trials.items()
        answer = models[key.split("-")[0]].detect(pair.before, pair.after)
        assert (trial.answer == answer.to_mask()).all()
        assert trial.rles == answer.rles
        assert (trial.score == answer.score).all()
        assert (trial.truth == squares(3)).all()


def test_sam_has_the_settings_of_the_paper_and_regions_its_own(sam_folder: Path) -> None:
    assert load_anychange("regions", "xview2", "cpu").preset == "default"
    assert load_anychange(str(sam_folder), "levir-cd", "cpu").settings.stability == 0.8
    strict = load_anychange(str(sam_folder), "xview2", "cpu")
    assert (strict.settings.stability, strict.settings.points_per_side) == (0.95, 64)
    assert strict.angle == 25


def test_settings_know_the_content_of_weights(tmp_path: Path) -> None:
    model = AnyChange()
    assert settings_of(model, "regions") == model.describe()
    assert settings_of(model, "") == model.describe()
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"one")
    first = settings_of(model, str(weights))["weights_sha256"]
    weights.write_bytes(b"two")
    assert settings_of(model, str(weights))["weights_sha256"] != first
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    first = settings_of(model, str(folder))["weights_sha256"]
    (folder / "model.safetensors").write_bytes(b"x")
    assert settings_of(model, str(folder))["weights_sha256"] != first


def test_weights_that_are_not_there_fail_when_they_are_loaded() -> None:
    (case,) = method_cases(Choice(("anychange",), ("/nowhere/sam.pth",)), "folder")
    assert case.rows[0].backbone == "sam.pth"
    with pytest.raises(ModelError, match="nowhere"):
        case.load()


def test_a_method_that_learns_is_given_the_pairs_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learnt = []

    class Learner:
        def fit(self, pairs: object, *, progress: object) -> None:
            learnt.extend(pairs)  # type: ignore[call-overload]

        def describe(self) -> dict[str, str]:
            return {"model": "learner"}

    monkeypatch.setattr("terradelta.bench.methods.load_baseline", lambda name, **_: Learner())
    samples = made_dataset().samples
    (case,) = method_cases(Choice(("cva",)), "folder")
    loaded = case.load()
    assert loaded.learn is not None
    loaded.learn(samples, print)
    assert len(learnt) == 3
    for (before, after), sample in zip(learnt, samples, strict=True):
        assert (before == sample.pair().before).all()
        assert (after == sample.pair().after).all()


def test_pixels_that_are_not_valid_are_handed_on_as_transparent() -> None:
    before = np.full((8, 8, 4), 200, np.uint8)
    before[:2, :, 3] = 0
    pair = load_pair(before, np.full((8, 8, 3), 90, np.uint8))
    again = load_pair(*images_of(pair))
    assert (again.valid == pair.valid).all()
    assert not again.valid[:2].any()
    assert (again.before == pair.before).all()
    whole = load_pair(before[..., :3], before[..., :3])
    assert images_of(whole)[0] is whole.before


def test_names_of_files_are_plain_and_differ() -> None:
    names = ["sam-vit-b", "a/b.pth", "c/b.pth", "b.pth", "x y", "x-y", "../..", "", "é"]
    slugs = [slug(name) for name in names]
    assert slugs[0] == "sam-vit-b"
    assert slugs[3] == "b.pth"
    assert len(set(slugs)) == len(names)
    assert all(set(s) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for s in slugs)
    assert row_of("cva", "").key == "cva"
    assert row_of("anychange", "regions", "one click").key == ("anychange-regions-one-click")
