import csv
from pathlib import Path
from typing import Any

import pytest

from terradelta.detectors.changes import load_change_detector
from terradelta.engine import Asking, Curation, open_unlabelled, rounds
from terradelta.engine.label import label
from terradelta.engine.labels import names_in, read_label
from terradelta.engine.rounds import score_labels
from terradelta.errors import UsageError
from terradelta.train import open_pairs
from terradelta.train.settings import settings_of

from .made import Brighter, squares, write_pairs

SETTINGS: dict[str, Any] = {
    "detector": "fc-ef",
    "steps": 3,
    "batch": 2,
    "interval": 3,
    "workers": 0,
    "optimiser": {"learning_rate": 0.01},
    "augment": {"crop": 32},
}


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs", {"a": 1, "b": 2, "c": 4})


def test_every_round_labels_with_what_the_last_one_trained(pairs: Path, tmp_path: Path) -> None:
    out, settings = tmp_path / "out", settings_of(SETTINGS)
    val = open_pairs(pairs, "val")
    done = rounds(pairs, Brighter(), settings, out, 2, val_data=val, device="cpu")
    assert [each.labeller for each in done] == ["brighter", "fc-ef"]
    assert [each.labels for each in done] == [3, 3]
    assert done[0].label_f1 == 1.0
    assert all(each.val_f1 is not None for each in done)
    model = load_change_detector(out / done[0].detector)
    for sample in open_unlabelled(pairs).samples:
        pair = sample.pair()
        answer = model.detect(pair.before, pair.after).to_mask()
        relabelled = read_label(out / "round-2" / "labels", sample.name)
        assert (relabelled.changed == answer).all()
    with (out / "rounds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["round"] for row in rows] == ["1", "2"]
    assert float(rows[0]["label_f1"]) == 1
    assert rows[1]["detector"] == done[1].detector


def test_what_is_done_is_not_done_again_and_more_rounds_follow(pairs: Path, tmp_path: Path) -> None:
    out, settings = tmp_path / "out", settings_of(SETTINGS)
    first = rounds(pairs, Brighter(), settings, out, 1, device="cpu")
    weights = (out / "round-1" / "training" / "last" / "model.safetensors").read_bytes()
    model = Brighter()
    again = rounds(pairs, model, settings, out, 2, device="cpu")
    assert model.calls == 0
    assert again[:1] == first
    assert (out / "round-1" / "training" / "last" / "model.safetensors").read_bytes() == weights
    assert first[0].val_f1 is None
    assert first[0].detector == "round-1/training/last"
    with pytest.raises(UsageError, match="asked for otherwise"):
        rounds(pairs, Brighter("other"), settings, out, 2, device="cpu")
    more = settings_of({**SETTINGS, "steps": 4})
    with pytest.raises(UsageError, match="holds another training"):
        rounds(pairs, Brighter(), more, out, 2, device="cpu")


def test_soft_labels_are_learnt_from_where_the_training_says_so(
    pairs: Path, tmp_path: Path
) -> None:
    settings = settings_of({**SETTINGS, "labels": "soft"})
    with pytest.raises(UsageError, match="ask for them with soft"):
        rounds(pairs, Brighter(), settings, tmp_path / "out", 1)
    asking = Asking(soft=True)
    rounds(pairs, Brighter(), settings, tmp_path / "out", 2, asking=asking, device="cpu")
    for number in (1, 2):
        soft = tmp_path / "out" / f"round-{number}" / "labels" / "soft"
        assert len(list(soft.glob("*.tif"))) == 3


def test_without_truth_labels_are_not_scored(tmp_path: Path) -> None:
    bare = write_pairs(tmp_path / "bare", {"a": 1, "b": 2}, labelled=False)
    curation = Curation(most_changed=0.05)
    done = rounds(
        bare,
        Brighter(),
        settings_of(SETTINGS),
        tmp_path / "out",
        1,
        curation=curation,
        device="cpu",
    )
    assert done[0].label_f1 is None
    assert (done[0].labels, done[0].dropped) == (1, 1)


def test_labels_are_scored_where_they_are_known(pairs: Path, tmp_path: Path) -> None:
    class Half(Brighter):
        """Sees change in the upper half alone."""

        def detect(self, before: Any, after: Any, **options: Any) -> Any:
            before, after = before.copy(), after.copy()
            after[32:] = before[32:]
            return super().detect(before, after, **options)

    dataset = open_unlabelled(pairs)
    label(dataset, Half(), tmp_path / "out")
    counts = score_labels(tmp_path / "out", dataset)
    seen = sum(int(squares(count)[:32].sum()) for count in (1, 2, 4))
    assert counts.true_positive == seen
    assert counts.false_positive == 0
    assert counts.false_negative == 7 * 144 - seen
    assert names_in(tmp_path / "out") == ["a", "b", "c"]


def test_no_rounds_are_refused(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="do at least 1"):
        rounds(pairs, Brighter(), settings_of(SETTINGS), tmp_path / "out", 0)
