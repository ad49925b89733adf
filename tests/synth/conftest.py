"""A planned place and a small window of it, shared by the tests of the painters."""

import numpy as np
import pytest

from terradelta.synth.canvas import Canvas
from terradelta.synth.events import EventKind
from terradelta.synth.grid import Axes, Window
from terradelta.synth.plan import Plan
from terradelta.synth.survey import Survey

SIZE = (512, 512)


@pytest.fixture(scope="session")
def plan() -> Plan:
    return Plan(5, tuple(EventKind))


@pytest.fixture(scope="session")
def survey(plan: Plan) -> Survey:
    """The middle 240 x 320 pixels of half a metre."""
    return Survey(plan, Axes.of(Window(96, 136, 416, 376), SIZE, 0.5))


@pytest.fixture
def bare(survey: Survey) -> Canvas:
    """Level grey ground over the survey's window, wholly green in the season's sense."""
    height, width = survey.axes.shape
    albedo = np.full((height, width, 3), 0.3, np.float32)
    return Canvas.level(albedo, np.ones((height, width), np.float32))
