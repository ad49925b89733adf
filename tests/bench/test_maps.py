from pathlib import Path

import numpy as np
from PIL import Image

from terradelta.bench.cases import Answers, Row, Trial
from terradelta.bench.maps import (
    LEGEND,
    agreement_map,
    are_saved,
    map_path,
    panels_of,
    save_maps,
)

ANSWER = np.array([[1, 1, 0, 0]], bool)
TRUTH = np.array([[1, 0, 1, 0]], bool)


def test_every_pixel_has_the_colour_of_what_became_of_it() -> None:
    assert agreement_map(ANSWER, TRUTH).tolist() == [[list(colour) for colour in LEGEND.values()]]
    assert list(LEGEND) == ["found", "wrongly found", "missed", "rightly unchanged"]


def test_the_first_trial_of_every_row_is_kept_and_the_panels_in_their_order(tmp_path: Path) -> None:
    panel = np.full((1, 4, 3), 9, np.uint8)
    trials = {"a": [Trial(ANSWER, TRUTH), Trial(TRUTH, TRUTH)], "b": [Trial(TRUTH, TRUTH)]}
    answers = Answers(trials, {"zeta of before": panel, "alpha of after": panel + 1})
    rows = [Row("a", "A"), Row("b", "B")]
    assert not are_saved(tmp_path, rows, "p")
    save_maps(answers, tmp_path, "case", "p")
    assert are_saved(tmp_path, rows, "p")
    kept = np.asarray(Image.open(map_path(tmp_path, "a", "p")))
    assert (kept == agreement_map(ANSWER, TRUTH)).all()
    panels = panels_of(tmp_path, "case", "p")
    assert list(panels) == ["zeta of before", "alpha of after"]
    assert (np.asarray(Image.open(panels["alpha of after"])) == 10).all()
    assert panels_of(tmp_path, "case", "q") == {}


def test_a_name_of_a_pair_cannot_leave_the_folder(tmp_path: Path) -> None:
    paths = {map_path(tmp_path, "row", name) for name in ("../../up", "up", "a/up", "..", "b\\up")}
    assert len(paths) == 5
    assert {path.parent for path in paths} == {tmp_path / "maps" / "row"}
