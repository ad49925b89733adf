import pytest

from terradelta.data import FEW_SHOT
from terradelta.data.subsets import subset
from terradelta.errors import UsageError

NAMES = [f"{number:05d}" for number in range(2968)]


def of(share: float, seed: int = 0, names: list[str] = NAMES) -> list[str]:
    return subset(names, share, seed, str)


def test_the_shares_of_the_paper_are_nested() -> None:
    held: set[str] = set()
    for share in (*FEW_SHOT, 1.0):
        names = of(share)
        assert held < set(names)
        held = set(names)
    assert FEW_SHOT == (0.05, 0.1, 0.2, 0.5)
    assert held == set(NAMES)


@pytest.mark.parametrize(
    ("share", "count", "expected"),
    [(0.05, 2968, 148), (0.1, 2968, 297), (0.2, 2968, 594), (0.05, 12000, 600), (0.01, 10, 1)],
)
def test_a_share_is_rounded_and_at_least_one(share: float, count: int, expected: int) -> None:
    assert len(of(share, names=[str(number) for number in range(count)])) == expected


def test_the_order_is_kept_and_names_are_not_repeated() -> None:
    names = of(0.1)
    assert names == sorted(set(names))


def test_a_seed_gives_the_same_share_again_and_another_another() -> None:
    assert of(0.05) == of(0.05)
    assert of(0.05, seed=1) != of(0.05)
    assert set(of(0.05, names=NAMES[::-1])) == set(of(0.05))


def test_a_share_is_spread_over_the_dataset() -> None:
    """Of 1,484 names 742 are expected in either half, give or take 19."""
    kept = [int(name) for name in of(0.5)]
    assert abs(sum(number < 1484 for number in kept) - 742) < 80


def test_the_ranking_is_that_of_the_hash() -> None:
    """SHA-256 of "0/a" begins with d3, of "0/b" with 7d, of "0/c" with 28."""
    assert of(1 / 3, names=["a", "b", "c"]) == ["c"]
    assert of(2 / 3, names=["a", "b", "c"]) == ["b", "c"]


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="above 0 and at most 1"):
        of(share)


def test_of_nothing_there_is_no_share() -> None:
    assert of(0.5, names=[]) == []
