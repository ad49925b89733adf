import numpy as np

from terradelta.synth.grid import Axes, Window
from terradelta.synth.plan import Plan
from terradelta.synth.survey import NO_PARCEL, Survey


def test_parcels_are_where_their_edge_is_away(survey: Survey) -> None:
    inside = survey.parcel != NO_PARCEL
    assert 0.8 < inside.mean() < 1
    assert (survey.edge[inside] > 0).all()
    assert (survey.edge[~inside] == 0).all()


def test_a_window_is_surveyed_like_the_whole(plan: Plan, survey: Survey) -> None:
    part = Survey(plan, Axes.of(Window(200, 190, 300, 250), (512, 512), 0.5))
    crop = slice(190 - 136, 250 - 136), slice(200 - 96, 300 - 96)
    for name in ("u", "v", "edge", "rows", "bank", "patch", "veins", "mottle", "leaf", "grain"):
        np.testing.assert_array_equal(getattr(part, name), getattr(survey, name)[crop], name)


def test_regions_hold_their_polygons(survey: Survey) -> None:
    corners = [parcel.corners for parcel in survey.parcels]
    for number, region in enumerate(survey.regions(corners)):
        outside = np.ones(survey.axes.shape, bool)
        outside[region] = False
        assert not (survey.parcel[outside] == number).any()
    assert survey.regions([]) == []
