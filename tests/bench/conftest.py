"""One measurement of a tiny network against each peer."""

import pytest

from terradelta.bench.speed import Measurement, Protocol, measure


@pytest.fixture(scope="session", params=["torchange", "transformers"])
def measurement(request: pytest.FixtureRequest) -> Measurement:
    pytest.importorskip("segment_anything")
    if request.param == "torchange":
        pytest.importorskip("torchange.models.segment_any_change")
    return measure(Protocol(request.param, 12, size="tiny", repeats=1, peer_batches=2))
