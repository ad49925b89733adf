import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from terradelta import MODELS
from terradelta.cli import console
from terradelta.detectors import DETECTORS
from terradelta.features import FEATURES

Run = Callable[..., Any]


def test_every_segmenter_is_listed_with_licence_size_angle_and_source(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 80)
    answer = run("models")
    assert (answer.code, answer.err) == (0, "")
    rows = {line.split()[0]: line for line in answer.out.splitlines() if line.strip()}
    assert set(FEATURES) <= set(rows)
    for name, card in MODELS.items():
        row = rows[name]
        assert f" {card.licence} " in row
        assert f" {card.megabytes} " in row
        assert f" {card.angle:g} " in row
        if card.repository and card.revision:
            assert f"{card.repository}@{card.revision[:8]}" in row


def test_the_folder_of_the_weights_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERRADELTA_WEIGHTS", str(tmp_path / "weights [red]"))
    assert f"looked for in {tmp_path}/weights [red]," in run("models").out


def test_json_is_every_card_by_name(run: Run) -> None:
    answer = run("models", "--json")
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    kinds = {"segmenter": MODELS, "features": FEATURES}
    assert list(printed) == [name for cards in kinds.values() for name in cards]
    for kind, cards in kinds.items():
        for name, card in cards.items():
            assert printed[name].pop("kind") == kind
            assert printed[name] == {field: getattr(card, field) for field in printed[name]}
            assert {"summary", "licence", "repository", "revision"} <= set(printed[name])


def test_detectors_are_listed_beside_what_was_published(run: Run) -> None:
    answer = run("models", "--detectors", "--json")
    assert (answer.code, answer.err) == (0, "")
    printed = json.loads(answer.out)
    assert list(printed) == list(DETECTORS)
    for found in printed.values():
        assert found["excess"] is None or abs(found["excess"]) < 0.02
    assert abs(printed["changestar-1x96-r18"]["flops"] / 65.3e9 - 1) < 0.05
    table = run("models", "--detectors").out
    assert all(name in table for name in DETECTORS)
