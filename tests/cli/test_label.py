"""``label`` and ``rounds`` as they are registered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import Affine

from terradelta import AnyChange, make_scene
from terradelta.data import open_dataset
from terradelta.geo.files import write_geotiff
from terradelta.synth import write_made_dataset

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_made_dataset(folder, 2, size=64)
    return folder


def test_labels_are_those_of_anychange(data: Path, tmp_path: Path, run: Run) -> None:
    words = ("label", data, "-o", tmp_path / "out", "--angle", 20, "--json")
    told = json.loads(run(*words).out)
    assert told["labelled"] == 2
    model = AnyChange()
    for sample, made in zip(
        open_dataset(data).samples, open_dataset(tmp_path / "out").samples, strict=True
    ):
        pair = sample.pair()
        answer = model.detect(pair.before, pair.after, angle=20).to_mask()
        assert (made.truth() == answer).all()


def test_the_summary_tells_what_was_dropped(data: Path, tmp_path: Path, run: Run) -> None:
    rules = ("--curate", "neighbours", "--curate", "dates", "--curate", "repeats")
    words = ("label", data, "-o", tmp_path / "out", *rules, "--max-changed", 0)
    text = run(*words).out
    assert "pairs      2" in text
    assert "too much change" in text
    asked = json.loads((tmp_path / "out" / "labels.json").read_text())["asked"]
    assert asked["curation"]["neighbours"] == 5
    assert asked["curation"]["alike"] == 0.99
    assert asked["asking"]["both_dates"] is True


def test_clicks_come_from_a_file(data: Path, tmp_path: Path, run: Run) -> None:
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("name,x,y,date\n0-00000,30,30,after\n0-00001,,,\n")
    words = ("label", data, "-o", tmp_path / "out", "--clicks", clicks, "--json")
    told = json.loads(run(*words).out)
    assert told["labelled"] == 2
    provenance = json.loads((tmp_path / "out" / "provenance" / "0-00000.json").read_text())
    assert provenance["clicks"] == [[30, 30, "after"]]


def test_a_scene_is_cut_into_squares(tmp_path: Path, run: Run) -> None:
    scene = make_scene(64, seed=4)
    paths = tmp_path / "before.tif", tmp_path / "after.tif"
    for path, image in zip(paths, (scene.before, scene.after), strict=True):
        write_geotiff(path, image, "EPSG:32631", Affine(1, 0, 600_000, 0, -1, 5_700_000))
    words = ("label", *paths, "-o", tmp_path / "out", "--crop", 32, "--json")
    told = json.loads(run(*words).out)
    assert told["labelled"] == 4
    truths = [sample.truth() for sample in open_dataset(tmp_path / "out").samples]
    assert all(truth.shape == (32, 32) for truth in truths)
    assert np.any(truths)


def test_rounds_end_with_a_detector_that_labels(data: Path, tmp_path: Path, run: Run) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        'detector = "fc-ef"\nsteps = 2\nbatch = 2\nworkers = 0\n'
        "[optimiser]\nlearning_rate = 0.01\n[augment]\ncrop = 32\n"
    )
    words = ("rounds", data, "-o", tmp_path / "out", "--recipe", recipe, "-n", 1, "--json")
    (row,) = json.loads(run(*words).out)
    assert row["labeller"] == "regions"
    assert 0 <= row["label_f1"] <= 1
    detector = tmp_path / "out" / row["detector"]
    words = ("label", data, "-o", tmp_path / "again", "--detector", detector, "--soft", "--json")
    assert json.loads(run(*words).out)["labelled"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--angle", 20, "--otsu"), "contradict"),
        (("--bands", "3,2,1"), "only for scenes"),
        (("--click-on", "after"), "drawn from the truth"),
        (("--min-changed", 0.5, "--max-changed", 0.1), "the smaller first"),
        (("--detector", "d", "--upscale", 2), "--upscale: not with --detector"),
        (("--detector", "d", "--approximate", "grid"), "--approximate: not with --detector"),
        (("--detector", "d", "--angle", 20), "--angle: not with --detector"),
    ],
)
def test_wrong_calls_leave_nothing_behind(
    words: tuple[object, ...],
    told: str,
    data: Path,
    tmp_path: Path,
    run: Run,
) -> None:
    answer = run("label", data, "-o", tmp_path / "out", *words)
    assert answer.code == 2
    assert told in answer.err
    assert not (tmp_path / "out").exists()
