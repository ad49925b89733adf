import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terradelta import AnyChange
from terradelta.data import open_dataset
from terradelta.engine import Asking, Curation, curate, label
from terradelta.engine.labels import names_in, read_label
from terradelta.errors import InputError, UsageError
from terradelta.geo.pair import ImageLike
from terradelta.train import open_pairs
from terradelta.types import Answer, Progress, silent
from terradelta.zeroshot.query import Click

from .made import Brighter, images_of, squares, write_pairs


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "pairs", {"a": 0, "b": 1, "c": 2, "d": 4})


def everything_in(folder: Path) -> dict[str, bytes]:
    """Every file but for the dates in it."""
    kept = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.parent.name in ("provenance", "dropped"):
                content = json.dumps({**json.loads(content), "date": ""}).encode()
            kept[str(path.relative_to(folder))] = content
    return kept


def test_the_labels_are_a_dataset_to_learn_from(pairs: Path, tmp_path: Path) -> None:
    made = label(pairs, Brighter(), tmp_path / "out")
    assert len(made) == 4
    dataset = open_dataset(tmp_path / "out")
    for count, sample in zip((0, 1, 2, 4), dataset.samples, strict=True):
        assert (sample.truth() == squares(count)).all()
    before, after, labelled = open_pairs(tmp_path / "out", "train")[2]
    assert (before == images_of(2, 2)[0]).all()
    assert (after == images_of(2, 2)[1]).all()
    assert (labelled == squares(2)).all()
    assert made.summary["changed_fraction"] == pytest.approx(7 * 144 / (4 * 4096), abs=1e-6)
    assert made.summary["without_change"] == 1


def test_every_label_tells_where_it_comes_from(pairs: Path, tmp_path: Path) -> None:
    label(pairs, AnyChange(), tmp_path / "out", asking=Asking(angle=30, soft=True))
    told = json.loads((tmp_path / "out" / "provenance" / "c.json").read_text())
    image = pairs / "B" / "c.png"
    assert told["after"] == {
        "source": str(image),
        "sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
    }
    assert told["model"]["model"] == "regions"
    assert told["asking"] == {"mode": "angle", "angle": 30, "soft": True, "both_dates": False}
    assert told["threshold"] == 30
    assert told["soft"].startswith("1 / (1 + exp")
    assert told["curation"] == Curation().describe()


def test_a_run_that_was_cut_off_goes_on_to_the_same_files(pairs: Path, tmp_path: Path) -> None:
    class Dying(Brighter):
        def detect(
            self, before: ImageLike, after: ImageLike, *, progress: Progress = silent
        ) -> Answer:
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().detect(before, after)

    curation = Curation(neighbours=3, alike=0.99, most_changed=0.1)
    label(pairs, Brighter(), tmp_path / "whole", curation=curation)
    with pytest.raises(KeyboardInterrupt):
        label(pairs, Dying(), tmp_path / "cut", curation=curation)
    assert names_in(tmp_path / "cut") == ["a", "b"]
    model = Brighter()
    label(pairs, model, tmp_path / "cut", curation=curation)
    assert model.calls == 2
    assert everything_in(tmp_path / "cut") == everything_in(tmp_path / "whole")
    label(pairs, model, tmp_path / "cut", curation=curation)
    assert model.calls == 2


def test_another_setting_in_the_same_folder_is_refused(pairs: Path, tmp_path: Path) -> None:
    label(pairs, Brighter(), tmp_path / "out")
    for other in (Asking(both_dates=True), Asking(soft=True)):
        with pytest.raises(UsageError, match="asked for otherwise"):
            label(pairs, Brighter(), tmp_path / "out", asking=other)
    with pytest.raises(UsageError, match="model was"):
        label(pairs, Brighter("other"), tmp_path / "out")
    with pytest.raises(UsageError, match="curation was"):
        label(pairs, Brighter(), tmp_path / "out", curation=Curation(neighbours=3))
    write_pairs(pairs, {"e": 1})
    with pytest.raises(UsageError, match="pairs was"):
        label(pairs, Brighter(), tmp_path / "out")


def test_a_pair_that_cannot_be_read_stops_nobody_and_is_tried_again(
    pairs: Path, tmp_path: Path
) -> None:
    whole = (pairs / "A" / "b.png").read_bytes()
    (pairs / "A" / "b.png").write_bytes(whole[:60])
    made = label(pairs, Brighter(), tmp_path / "out", curation=Curation(alike=0.99))
    assert list(made.summary["failed"]) == ["b"]
    assert made.summary["labelled"] == 3
    (pairs / "A" / "b.png").write_bytes(whole)
    made = label(pairs, Brighter(), tmp_path / "out", curation=Curation(alike=0.99))
    assert made.summary["failed"] == {}
    assert made.summary["labelled"] == 4


def test_if_no_pair_can_be_labelled_the_first_reason_is_told(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs", {"a": 1})
    (tmp_path / "pairs" / "A" / "a.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"no pair could be labelled; the first: .*a\.png"):
        label(tmp_path / "pairs", Brighter(), tmp_path / "out")


def test_one_click_a_pair(pairs: Path, tmp_path: Path) -> None:
    click = Click(14.0, 12.0, "after")
    asking = Asking(clicks={"a": [], "c": [click], "d": [Click(70.0, 2.0, "after")]})
    model = AnyChange()
    made = label(pairs, model, tmp_path / "out", asking=asking)
    assert made.summary["dropped"] == {"not clicked": 1}
    assert list(made.summary["failed"]) == ["d"]
    assert "outside the image" in made.summary["failed"]["d"]
    assert not read_label(tmp_path / "out", "a").changed.any()
    asked = model.query(*images_of(2, 2), [click]).to_mask()
    assert (read_label(tmp_path / "out", "c").changed == asked).all()
    told = json.loads((tmp_path / "out" / "provenance" / "c.json").read_text())
    assert told["clicks"] == [[14.0, 12.0, "after"]]
    assert "clicks" not in told["asking"]
    with pytest.raises(InputError, match="clicks on 'z', which is no pair"):
        label(pairs, model, tmp_path / "other", asking=Asking(clicks={"z": []}))


def test_clicks_from_the_truth_leave_pairs_without_change_empty(
    pairs: Path, tmp_path: Path
) -> None:
    made = label(pairs, AnyChange(), tmp_path / "out", asking=Asking(click_from_truth=True))
    assert made.summary["labelled"] == 4
    told = [
        json.loads((tmp_path / "out" / "provenance" / f"{name}.json").read_text())["clicks"]
        for name in "abcd"
    ]
    assert [len(clicks) for clicks in told] == [0, 1, 1, 1]
    x, y, date = told[1][0]
    assert squares(1)[int(y), int(x)]
    assert date == "after"


def test_what_is_dropped_is_told_with_its_reason(pairs: Path, tmp_path: Path) -> None:
    for role in ("A", "B", "label"):
        (pairs / role / "e.png").write_bytes((pairs / role / "c.png").read_bytes())
    curation = Curation(least_changed=0.01, most_changed=0.1, alike=0.99)
    made = label(pairs, Brighter(), tmp_path / "out", curation=curation)
    assert made.summary["dropped"] == {
        "repeats another pair": 1,
        "too little change": 1,
        "too much change": 1,
    }
    assert names_in(tmp_path / "out") == ["b", "c"]
    assert json.loads((tmp_path / "out" / "dropped" / "e.json").read_text())["of"] == "c"
    told = json.loads((tmp_path / "out" / "dropped" / "d.json").read_text())
    assert told["dropped"] == "too much change"
    assert told["changed_fraction"] == pytest.approx(4 * 144 / 4096, abs=1e-6)


def test_curating_afterwards_is_curating_at_once(pairs: Path, tmp_path: Path) -> None:
    curation = Curation(neighbours=5, most_changed=0.1, alike=0.99)
    asking = Asking(soft=True)
    label(pairs, Brighter(), tmp_path / "raw", asking=asking)
    at_once = label(pairs, Brighter(), tmp_path / "once", asking=asking, curation=curation)
    after = curate(tmp_path / "raw", tmp_path / "after", curation)
    assert after.summary == at_once.summary
    assert after.summary["known_fraction"] < 1
    for name in names_in(tmp_path / "once"):
        for part, suffix in (("A", "png"), ("label", "png"), ("soft", "tif")):
            one, other = (tmp_path / way / part / f"{name}.{suffix}" for way in ("once", "after"))
            with Image.open(one) as first, Image.open(other) as second:
                assert np.array_equal(
                    np.asarray(first), np.asarray(second), equal_nan=part == "soft"
                )
    told = json.loads((tmp_path / "after" / "provenance" / "b.json").read_text())
    assert told["curated"] == curation.describe()
    assert told["model"] == {"model": "brighter"}


def test_curating_needs_labels_and_another_folder(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no labels of terradelta"):
        curate(pairs, tmp_path / "out", Curation())
    label(pairs, Brighter(), tmp_path / "raw")
    with pytest.raises(UsageError, match="choose another one"):
        curate(tmp_path / "raw", tmp_path / "raw", Curation())
