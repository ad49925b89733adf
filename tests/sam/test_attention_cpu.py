import pytest
import torch

from terradelta.sam.attention_cpu import attend, can_attend


@pytest.mark.parametrize(("height", "width", "depth"), [(16, 16, 16), (32, 16, 64)])
@torch.inference_mode()
def test_it_is_softmax_attention_with_a_bias(height: int, width: int, depth: int) -> None:
    random = torch.Generator().manual_seed(0)
    cells = height * width
    query, key, value = (torch.randn((2, cells, depth), generator=random) for _ in range(3))
    # A layer hands over views of one projection.
    query = query.transpose(0, 1).contiguous().transpose(0, 1)
    by_row = torch.randn((2, height, width, height), generator=random)
    by_column = torch.randn((2, height, width, width), generator=random)
    bias = (by_row[..., None] + by_column[..., None, :]).view(2, cells, cells)
    logits = query.double() @ key.double().mT + bias
    expected = torch.softmax(logits, -1) @ value.double()
    found = attend(query, key, value, by_row, by_column)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)


def test_what_it_cannot_do_is_left_to_torch() -> None:
    query = torch.zeros((1, 256, 64))
    assert not can_attend(query, 16)  # gradients may be asked for
    with torch.inference_mode():
        assert can_attend(query, 16)
        assert not can_attend(query, 14)
        assert not can_attend(query.double(), 16)
        assert not can_attend(query[..., :20], 16)
