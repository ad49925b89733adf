from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from terradelta.baselines.deep_difference import (
    change_vector_length,
    kept_differences,
    selected,
    standardised,
)

CPU = torch.device("cpu")


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def planes(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def colours_alone(image: torch.Tensor) -> Sequence[torch.Tensor]:
    """A network whose only layer is the image."""
    return [image]


def test_each_quarter_keeps_the_features_that_vary_most_in_it() -> None:
    difference = 0.1 * planes(5, 9, 8)
    difference[3, :5, :4] *= 100
    difference[1, 5:, 4:] *= 100
    cells = torch.ones(9, 8, dtype=torch.bool)
    kept = set(selected(difference, cells, 1).tolist())
    assert {1, 3} <= kept
    assert len(kept) <= 4
    assert selected(difference, cells, 5).tolist() == [0, 1, 2, 3, 4]


def test_cells_without_data_have_no_say() -> None:
    difference = 0.1 * planes(5, 8, 8)
    cells = torch.ones(8, 8, dtype=torch.bool)
    cells[:, 6:] = False
    before = selected(difference, cells, 1)
    difference[:, :, 6:] += 1000 * planes(5, 8, 2, seed=1)
    assert torch.equal(selected(difference, cells, 1), before)
    cells[:, 4:] = False
    assert len(selected(difference, cells, 2)) <= 4


def test_features_are_standardised_over_valid_cells() -> None:
    features = 7 * planes(3, 6, 7) + 5
    features[2] = 4
    cells = torch.ones(6, 7, dtype=torch.bool)
    cells[0] = False
    inside = standardised(features, cells)[:, cells]
    torch.testing.assert_close(inside.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(inside.var(1, correction=0), torch.tensor([1.0, 1.0, 0.0]))


def test_gain_and_offset_of_a_date_do_not_matter() -> None:
    before, after = planes(4, 6, 6), planes(4, 6, 6, seed=1)
    valid = torch.ones(12, 12, dtype=torch.bool)
    plain = kept_differences(before, after, valid, 1.0)
    torch.testing.assert_close(
        kept_differences(before, 3 * after - 8, valid, 1.0), plain, rtol=1e-4, atol=1e-4
    )


def test_a_network_that_gives_the_image_gives_change_vector_analysis() -> None:
    before, after = noise(13, 10, 3), noise(13, 10, 3, seed=1)
    valid = np.ones((13, 10), bool)
    valid[4:, :3] = False
    length = change_vector_length(colours_alone, (before, after), valid, [1.0], 4, CPU)
    scores = [(date - date[valid].mean(0)) / date[valid].std(0) for date in (before, after)]
    expected = np.linalg.norm(scores[1] - scores[0], axis=2)
    np.testing.assert_allclose(length[valid], expected[valid], rtol=1e-4)


def test_layers_add_their_squares() -> None:
    before, after = noise(8, 8, 3), noise(8, 8, 3, seed=1)
    pair, valid = (before, after), np.ones((8, 8), bool)
    once = change_vector_length(colours_alone, pair, valid, [1.0], 1, CPU)
    thrice = change_vector_length(lambda image: [image] * 3, pair, valid, [1.0] * 3, 1, CPU)
    np.testing.assert_allclose(thrice, np.sqrt(3) * once, rtol=1e-5)
