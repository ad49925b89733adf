import math

from terradelta.metrics.ratio import ratio


def test_a_share_of_nothing_is_not_a_number() -> None:
    assert ratio(1, 4) == 0.25
    assert ratio(0, 4) == 0
    assert math.isnan(ratio(0, 0))
