import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from terradelta.bench.cases import Choice
from terradelta.bench.produce import produce
from terradelta.bench.tables import TABLES
from terradelta.data import Dataset, open_dataset
from terradelta.errors import InputError, UsageError
from terradelta.metrics import PixelCounts

from .made import Guess, made_dataset, write_dataset

CHOICE = Choice(("anychange", "cva"))


def without_time(told: dict[str, Any]) -> Any:
    """A record without when and how fast."""
    rows = [{**row, "seconds_a_pair": None} for row in told["rows"]]
    return {**told, "date": None, "rows": rows}


def table_of(guess: Guess) -> Any:
    return replace(TABLES["proposals"], cases=lambda choice, dataset: [guess.case])


@pytest.fixture(scope="module")
def produced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("table")
    return folder, produce(TABLES["proposals"], made_dataset((4, 3, 2, 0)), CHOICE, folder)


def test_the_record_is_the_file(produced: tuple[Path, dict[str, Any]]) -> None:
    folder, told = produced
    text = (folder / "results.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == json.loads(json.dumps(told))
    assert [row["key"] for row in told["rows"]] == ["anychange-regions", "cva"]
    assert all(row["pairs"] == 4 for row in told["rows"])
    assert told["dataset"]["pairs"] == 4
    assert set(told["settings"]) == {"anychange-regions", "cva"}
    assert set(told["versions"]) >= {"terradelta", "torch", "numpy"}


def test_the_maps_are_the_answers_that_the_numbers_are_of(
    produced: tuple[Path, dict[str, Any]],
) -> None:
    folder, told = produced
    pooled = PixelCounts()
    for number in range(4):
        path = folder / "maps" / "anychange-regions" / f"place_{number}.png"
        colours = np.asarray(Image.open(path)).astype(int)
        found, wrong, missed, _ = (
            (colours == colour).all(-1)
            for colour in ((240, 240, 240), (213, 94, 0), (86, 180, 233), (25, 25, 25))
        )
        pooled += PixelCounts.of(found | wrong, found | missed)
    metrics = told["rows"][0]["metrics"]
    for name in ("precision", "recall", "f1"):
        assert metrics[name]["value"] == pytest.approx(getattr(pooled, name))
        low, high = metrics[name]["interval_95"]
        assert low <= metrics[name]["value"] <= high
    share = told["everything_is_change"]["share_of_pixels"]
    assert share == pytest.approx(9 * 144 / (4 * 64 * 64))


def test_every_pair_has_a_line_in_the_csv(produced: tuple[Path, dict[str, Any]]) -> None:
    folder, told = produced
    with (folder / "per_image.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["key"], line["name"]) for line in lines] == [
        (key, f"place_{n}") for key in ("anychange-regions", "cva") for n in range(4)
    ]
    right = sum(int(line["true_positive"]) for line in lines[:4])
    missed = sum(int(line["false_negative"]) for line in lines[:4])
    recall = told["rows"][0]["metrics"]["recall"]["value"]
    assert right / (right + missed) == pytest.approx(recall)
    assert lines[3]["recall"] == ""


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if tag == "img":
            self.images.append(given["src"] or "")
        self.links += [given[name] or "" for name in ("href", "src") if name in given]


def test_the_page_shows_pictures_that_lie_beside_it(produced: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = produced
    text = (folder / "report.html").read_text()
    page = _Page(text)
    assert len(page.images) == 6
    assert all((folder / image).is_file() for image in page.images)
    assert set(page.links) == set(page.images)
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    samples = tuple(replace(s, name=f"{name}{s.name}") for s in made_dataset((4, 3)).samples)
    data = Dataset(name, Path(name), "all", samples)
    guess = Guess()
    guess.fails_on[samples[0].name] = ValueError("<b>| broken")
    produce(table_of(guess), data, CHOICE, tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "script" not in _Page(text).tags
    assert "b" not in _Page(text).tags
    assert "&lt;b&gt;| broken" in text


def test_lines_of_the_paper_stand_beside_their_own_dataset_alone(tmp_path: Path) -> None:
    here = produce(table_of(Guess()), made_dataset(name="levir-cd"), CHOICE, tmp_path / "levir")
    assert len(here["paper"]) == 14
    assert " paper |" in (tmp_path / "levir" / "table.md").read_text()
    elsewhere = produce(table_of(Guess()), made_dataset(), CHOICE, tmp_path / "folder")
    assert elsewhere["paper"] == []
    assert "paper |" not in (tmp_path / "folder" / "table.md").read_text()


def test_a_limit_takes_the_first_pairs_and_says_so(tmp_path: Path) -> None:
    guess = Guess()
    told = produce(table_of(guess), made_dataset(), CHOICE, tmp_path, limit=2)
    assert guess.asked == ["place_0", "place_1"]
    assert (told["dataset"]["pairs"], told["dataset"]["pairs_in_all"]) == (2, 3)
    assert "2 pairs of 3, the first by name" in (tmp_path / "table.md").read_text()
    with pytest.raises(UsageError, match="the limit is 0"):
        produce(table_of(guess), made_dataset(), CHOICE, tmp_path, limit=0)


def test_a_dataset_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="made holds no pairs"):
        produce(table_of(Guess()), made_dataset(()), CHOICE, tmp_path)


def test_everything_may_fail_and_is_told(tmp_path: Path) -> None:
    guess = Guess()
    guess.fails_on = {f"place_{n}": ValueError("no") for n in range(3)}
    told = produce(table_of(guess), made_dataset(), CHOICE, tmp_path)
    assert told["rows"][0]["pairs"] == 0
    assert len(told["left_out"]) == 3
    assert told["everything_is_change"]["f1"] is None
    assert (tmp_path / "per_image.csv").read_text() == ""
    assert "ValueError: no" in (tmp_path / "report.html").read_text()


def test_a_killed_run_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", (4, 3, 2, 1))
    whole = produce(TABLES["clicks"], open_dataset(data), Choice(()), tmp_path / "whole")
    part = tmp_path / "part"
    command = [sys.executable, "-m", "terradelta", "bench", "clicks", "--data", data, "-o", part]
    journal = part / ".bench" / "journal.jsonl"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        until = time.monotonic() + 60
        while not (journal.exists() and journal.stat().st_size) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    done = journal.read_bytes().count(b"\n")
    assert 1 <= done < 4
    assert not (part / "results.json").exists()
    again = produce(TABLES["clicks"], open_dataset(data), Choice(()), part)
    assert without_time(again) == without_time(whole)
    assert journal.read_bytes().count(b"\n") == 4
