import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from terradelta.bench.runner import Run, fingerprint, run_cases
from terradelta.data.dataset import Sample
from terradelta.errors import InputError, ModelError, OutputError
from terradelta.metrics import PixelCounts
from terradelta.types import silent

from .made import Guess, made_dataset, made_sample, pair_of, squares

SAMPLES = made_dataset((4, 3, 2)).samples
NAMES = ["place_0", "place_1", "place_2"]


def run(guesses: list[Guess], folder: Path, samples: tuple[Sample, ...] = SAMPLES) -> Run:
    return run_cases([guess.case for guess in guesses], samples, folder, silent)


def numbers(run: Run) -> dict[str, list[tuple[str, PixelCounts]]]:
    return {row: [(p.name, p.pooled.pixels) for p in pairs] for row, pairs in run.measured.items()}


def test_every_pair_is_counted_against_its_truth(tmp_path: Path) -> None:
    found = run([Guess()], tmp_path)
    left = np.zeros((64, 64), bool)
    left[:, :32] = True
    expected = [PixelCounts.of(left, squares(count)) for count in (4, 3, 2)]
    assert numbers(found) == {"guess": list(zip(NAMES, expected, strict=True))}
    assert found.settings == {"guess": {"share": 0.5}}
    assert found.left_out == []


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    first = run([Guess()], tmp_path)
    again = Guess()
    assert numbers(run([again], tmp_path)) == numbers(first)
    assert again.asked == []


@pytest.mark.parametrize("stopped_at", NAMES)
def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path, stopped_at: str) -> None:
    whole = run([Guess()], tmp_path / "whole")
    stopped = Guess()
    stopped.fails_on[stopped_at] = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        run([stopped], tmp_path / "part")
    rest = Guess()
    assert numbers(run([rest], tmp_path / "part")) == numbers(whole)
    assert stopped.asked + rest.asked == NAMES


def test_a_torn_last_line_is_done_again(tmp_path: Path) -> None:
    whole = run([Guess()], tmp_path)
    journal = tmp_path / ".bench" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    rest = Guess()
    assert numbers(run([rest], tmp_path)) == numbers(whole)
    assert rest.asked == ["place_2"]


def test_a_map_that_is_gone_is_made_again(tmp_path: Path) -> None:
    run([Guess()], tmp_path)
    (tmp_path / "maps" / "guess" / "place_1.png").unlink()
    rest = Guess()
    run([rest], tmp_path)
    assert rest.asked == ["place_1"]
    assert (tmp_path / "maps" / "guess" / "place_1.png").exists()


def test_another_setting_is_another_answer(tmp_path: Path) -> None:
    run([Guess()], tmp_path)
    other = Guess(settings={"share": 0.4})
    run([other], tmp_path)
    assert other.asked == NAMES
    again = Guess()
    run([again], tmp_path)
    assert again.asked == []


def test_changed_pixels_are_another_pair(tmp_path: Path) -> None:
    run([Guess()], tmp_path)
    pair = pair_of(1, 3)
    pair.after[0, 0, 0] ^= 1
    changed = replace(SAMPLES[1], pair=lambda: pair)
    other = replace(SAMPLES[2], truth=lambda: squares(3))
    rest = Guess()
    run([rest], tmp_path, (SAMPLES[0], changed, other))
    assert rest.asked == ["place_1", "place_2"]


def test_fingerprints_tell_pairs_truths_and_shapes_apart() -> None:
    sample = made_sample(0, 4)
    pair = sample.pair()
    turned = replace(sample, pair=lambda: replace(pair, before=pair.after, after=pair.before))
    classes = replace(sample, classes=lambda: (np.zeros((64, 64), np.uint8),) * 2)
    invalid = replace(sample, pair=lambda: replace(pair, valid=~squares(1)))
    others = [turned, made_sample(0, 3), made_sample(1, 4), classes, invalid]
    assert len({fingerprint(each) for each in (sample, *others)}) == 6
    assert fingerprint(sample) == fingerprint(made_sample(0, 4))


def test_a_pair_that_fails_is_left_out_and_tried_again(tmp_path: Path) -> None:
    guess, sound = Guess(), Guess("sound")
    guess.fails_on = {"place_0": InputError("no such light"), "place_2": IndexError("7")}
    found = run([guess, sound], tmp_path)
    assert [(left.case, left.pair, left.reason) for left in found.left_out] == [
        ("guess", "place_0", "no such light"),
        ("guess", "place_2", "IndexError: 7"),
    ]
    assert [p.name for p in found.measured["guess"]] == ["place_1"]
    assert sound.asked == NAMES
    rest = Guess()
    assert [p.name for p in run([rest], tmp_path).measured["guess"]] == NAMES
    assert rest.asked == ["place_0", "place_2"]


def test_an_unreadable_pair_is_left_out(tmp_path: Path) -> None:
    def broken() -> None:
        raise InputError("place_1.png cannot be read")

    samples = (SAMPLES[0], replace(SAMPLES[1], pair=broken), SAMPLES[2])
    found = run([Guess()], tmp_path, samples)
    assert [(left.pair, left.reason) for left in found.left_out] == [
        ("place_1", "place_1.png cannot be read")
    ]
    assert [p.name for p in found.measured["guess"]] == ["place_0", "place_2"]


def test_a_case_that_cannot_be_had_is_left_out_whole(tmp_path: Path) -> None:
    def absent() -> None:
        raise ModelError("no weights")

    missing, sound = Guess("missing"), Guess("sound")
    missing.case = replace(missing.case, load=absent)
    found = run([missing, sound], tmp_path)
    assert [(left.case, left.pair, left.reason) for left in found.left_out] == [
        ("missing", None, "no weights")
    ]
    assert found.measured["missing"] == []
    assert sound.asked == NAMES


def test_a_full_disk_ends_the_run(tmp_path: Path) -> None:
    guess = Guess()
    guess.fails_on["place_1"] = OutputError("disk full")
    with pytest.raises(OutputError, match="disk full"):
        run([guess], tmp_path)


def test_a_case_learns_from_all_pairs_before_it_is_asked(tmp_path: Path) -> None:
    first = Guess(learns=True)
    run([first], tmp_path)
    assert first.taught == [NAMES]
    again = Guess(learns=True)
    run([again], tmp_path)
    assert (again.taught, again.asked) == ([], [])


def test_what_was_learnt_from_other_pairs_does_not_count(tmp_path: Path) -> None:
    run([Guess(learns=True)], tmp_path, SAMPLES[:2])
    more = Guess(learns=True)
    run([more], tmp_path)
    assert more.taught == [NAMES]
    assert more.asked == NAMES


def test_the_case_sees_the_dataset_through_its_view(tmp_path: Path) -> None:
    seen = []

    def view(sample: Sample) -> Sample:
        seen.append(sample.name)
        return replace(sample, truth=lambda: squares(0))

    guess = Guess()
    guess.case = replace(guess.case, view=view)
    found = run([guess], tmp_path)
    assert set(seen) == set(NAMES)
    assert all(p.pooled.pixels.true_positive == 0 for p in found.measured["guess"])
    plain = Guess()
    run([plain], tmp_path)
    assert plain.asked == NAMES


def test_two_runs_in_one_folder_are_refused(tmp_path: Path) -> None:
    guess = Guess()
    inner = Guess("inner")

    def ask_within(sample: Sample) -> None:
        run([inner], tmp_path)

    guess.case = replace(guess.case, load=lambda: replace(Guess()._load(), ask=ask_within))
    with pytest.raises(OutputError, match="another run is at work"):
        run([guess], tmp_path)


def test_the_journal_holds_plain_json(tmp_path: Path) -> None:
    run([Guess()], tmp_path)
    lines = (tmp_path / ".bench" / "journal.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["pair"] for entry in entries] == NAMES
    assert all(entry["case"] == "guess" for entry in entries)


def test_progress_goes_through_the_pairs_of_every_case(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    run_cases([Guess().case], SAMPLES, tmp_path, lambda *step: steps.append(step))
    assert steps == [("guess", number, 3) for number in range(4)]
