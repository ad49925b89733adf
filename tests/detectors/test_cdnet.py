from typing import Any

import torch


def test_without_a_difference_the_answer_knows_nothing_of_the_image(built: Any, pair: Any) -> None:
    one, other = pair(32, 64)
    with torch.inference_mode():
        torch.testing.assert_close(built("cdnet")(one, one), built("cdnet")(other, other))


def test_decoder_is_that_of_a_unet_on_resnet18(built: Any) -> None:
    """Each stage takes the coarser features and the skip connection of its scale; the last has none."""
    seen = [stage[0][0].in_channels for stage in built("cdnet").decoder]
    assert seen == [512 + 256, 256 + 128, 128 + 64, 64 + 64, 32]
    assert built("cdnet").backbone.strides == (2, 4, 8, 16, 32)
