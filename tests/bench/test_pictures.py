from pathlib import Path

import numpy as np
import pytest

from terradelta.bench.maps import LEGEND, agreement_map
from terradelta.bench.pictures import CLICK, GAP_PX, LINE_PX, PANEL_PX, draw_picture, read_picture
from terradelta.errors import InputError
from terradelta.geo.files import write_png
from terradelta.geo.pair import load_pair
from terradelta.zeroshot.query import Click

from .made import pair_of, squares


def panels(picture: np.ndarray, count: int) -> list[np.ndarray]:
    """The panels of a picture without their names and the legend."""
    width = (picture.shape[1] - (count - 1) * GAP_PX) // count
    inner = picture[LINE_PX:-LINE_PX]
    return [inner[:, n * (width + GAP_PX) :][:, :width] for n in range(count)]


def test_both_dates_truth_and_answer_stand_side_by_side() -> None:
    pair, truth = pair_of(0, 4), squares(4)
    answer = squares(2)
    answer[:4] = True
    picture = draw_picture(pair, {}, agreement_map(answer, truth), [])
    factor = PANEL_PX // 64
    before, after, true, agreed = (panel[::factor, ::factor] for panel in panels(picture, 4))
    assert (before == pair.before).all()
    assert (after == pair.after).all()
    assert (true.any(-1) == truth).all()
    assert (agreed == agreement_map(answer, truth)).all()


def test_further_panels_stand_between_the_dates_and_the_truth() -> None:
    pair, extra = pair_of(0, 4), np.full((64, 64, 3), 77, np.uint8)
    picture = draw_picture(pair, {"embedding": extra}, agreement_map(squares(4), squares(4)), [])
    shown = panels(picture, 5)
    assert (shown[2] == 77).all()
    assert shown[3].any()


def test_large_images_are_reduced_and_the_panels_keep_their_shape() -> None:
    image = np.zeros((400, 1000, 3), np.uint8)
    nothing = np.zeros((400, 1000), bool)
    picture = draw_picture(load_pair(image, image), {}, agreement_map(nothing, nothing), [])
    assert picture.shape[1] == 4 * PANEL_PX + 3 * GAP_PX
    assert picture.shape[0] == round(400 * PANEL_PX / 1000) + 2 * LINE_PX


def test_clicks_are_drawn_on_their_date_and_named() -> None:
    pair, truth = pair_of(0, 4), squares(4)
    clicks = [Click(20.5, 30.5, "after")]
    picture = draw_picture(pair, {}, agreement_map(truth, truth), clicks)
    before, after, *_ = panels(picture, 4)
    yellow = (after == CLICK).all(-1)
    assert not (before == CLICK).all(-1).any()
    y, x = np.argwhere(yellow).mean(0) / (PANEL_PX // 64)
    assert (x, y) == pytest.approx((20.5, 30.5), abs=0.3)
    plain = draw_picture(pair, {}, agreement_map(truth, truth), [])
    assert (picture[-LINE_PX:] == CLICK).all(-1).any()
    assert not (plain[-LINE_PX:] == CLICK).all(-1).any()


def test_the_legend_has_every_colour() -> None:
    truth = squares(4)
    picture = draw_picture(pair_of(0, 4), {}, agreement_map(truth, truth), [])
    for colour in LEGEND.values():
        assert (picture[-LINE_PX:] == colour).all(-1).any()


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    image = agreement_map(squares(1), squares(2))
    write_png(tmp_path / "map.png", image)
    assert (read_picture(tmp_path / "map.png") == image).all()
    with pytest.raises(InputError, match=r"gone\.png does not exist"):
        read_picture(tmp_path / "gone.png")
