import numpy as np
import pytest

from terradelta.bench.spread import QueryCounts
from terradelta.metrics import PixelCounts

QUERIES = [PixelCounts(6, 2, 2, 10), PixelCounts(4, 0, 4, 12), PixelCounts(8, 8, 0, 4)]


def test_mean_and_deviation_are_over_the_queries() -> None:
    told = QueryCounts.of(QUERIES).as_dict()
    f1 = [0.75, 2 / 3, 2 / 3]
    assert told["f1"] == pytest.approx(np.mean(f1))
    assert told["f1_sd"] == pytest.approx(np.std(f1, ddof=1))
    assert told["recall"] == pytest.approx(0.75)
    assert told["recall_sd"] == pytest.approx(0.25)
    assert told["precision"] == pytest.approx((0.75 + 1 + 0.5) / 3)


def test_pairs_are_pooled_query_by_query() -> None:
    counts = QueryCounts.of(QUERIES)
    assert (QueryCounts.from_array(counts.as_array()).counts == counts.counts).all()
    pooled = QueryCounts.from_array(counts.as_array() + counts.as_array())
    assert pooled.as_dict() == pytest.approx(counts.as_dict())
