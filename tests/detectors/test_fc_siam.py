from typing import Any

import pytest
import torch

from terradelta.detectors.fc_siam import FcSiam, fc_siam_diff


def test_without_a_difference_the_answer_knows_nothing_of_the_image(built: Any, pair: Any) -> None:
    """All that FC-Siam-diff decodes are differences, the deepest included."""
    one, other = pair(32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(
            built("fc-siam-diff")(one, one), built("fc-siam-diff")(other, other)
        )


@pytest.mark.parametrize("name", ["fc-ef", "fc-siam-conc"])
def test_the_others_see_more_than_differences(name: str, built: Any, pair: Any) -> None:
    one, other = pair(32, 32)
    with torch.inference_mode():
        assert not torch.allclose(built(name)(one, one), built(name)(other, other), atol=1e-3)


@pytest.mark.parametrize(
    ("fusion", "channels"),
    [("early", [32, 64, 128, 256]), ("concatenation", [48, 96, 192, 384])],
)
def test_what_the_decoder_sees_at_each_scale(fusion: Any, channels: list[int]) -> None:
    """Its own features, as many as a skip connection hands over, and one or two of those (figure 2)."""
    detector = FcSiam(fusion, 1)
    seen = [detector.head[0][0].in_channels, *(stage[0].in_channels for stage in detector.decoder)]
    assert seen == channels


def test_whole_channels_are_dropped_in_training(pair: Any) -> None:
    torch.manual_seed(0)
    detector = fc_siam_diff().train()
    features = detector.encoder[0](pair(16, 16)[0])
    empty = features.flatten(2).eq(0).all(-1)
    assert 0 < empty.sum() < empty.numel()
    detector.eval()
    assert not detector.encoder[0](pair(16, 16)[0]).flatten(2).eq(0).all()
