import pytest
import torch
from torch import Tensor, nn

from terradelta.detectors import DETECTORS, Detector, build_detector
from terradelta.detectors.profile import Profile, flops, parameters, profile


class Toy(Detector):
    """A 3 x 3 convolution of 6 to 4 channels with biases, and a frozen 1 x 1 of 4 to 1 without."""

    multiple = 8

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(6, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 1, 1, bias=False).requires_grad_(False)

    def logits(self, before: Tensor, after: Tensor) -> Tensor:
        answer: Tensor = self.second(self.first(torch.cat([before, after], 1)))
        return answer


def test_counts_by_hand() -> None:
    toy = Toy()
    assert parameters(toy) == 4 * 6 * 9 + 4
    assert flops(toy, 16) == 16 * 16 * (4 * 6 * 9 + 4)
    assert flops(toy, 9) == flops(toy, 16)
    assert toy.training
    assert toy.first.weight.device.type == "cpu"


PUBLISHED = [name for name, card in DETECTORS.items() if card.parameters is not None]


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_published(name: str) -> None:
    """Within 2 %, but for layers of the published count that no image passes."""
    card = DETECTORS[name]
    built = parameters(build_detector(name))
    assert built / 1e6 == pytest.approx((card.parameters or 0) - card.idle, rel=0.02)
    excess = Profile(name, card, built, 0, 0).excess
    assert excess is not None
    assert abs(excess) <= 0.02


def test_all_but_one_were_published() -> None:
    assert set(DETECTORS) - set(PUBLISHED) == {"changestar-1x256-r50"}
    card = DETECTORS["changestar-1x256-r50"]
    assert Profile("", card, 1, 1, 1).excess is None


def test_idle_layers_of_bit_are_those_of_resnet18() -> None:
    """Its classifier of 1000 classes and its last stage, both in the released code."""
    import timm

    whole = timm.create_model("resnet18")
    idle = [*whole.fc.parameters(), *whole.layer4.parameters()]
    assert sum(weight.numel() for weight in idle) / 1e6 == pytest.approx(
        DETECTORS["bit"].idle, abs=1e-3
    )


@pytest.mark.parametrize("name", ["stanet", "bit"])
def test_flops_are_as_published(name: str) -> None:
    measured = profile(name, DETECTORS[name])
    assert measured.side == 512
    assert measured.flops / 1e9 == pytest.approx(DETECTORS[name].flops, rel=0.02)


@pytest.mark.parametrize("name", ["fc-ef", "fc-siam-conc", "fc-siam-diff", "snunet"])
def test_flops_with_transposed_convolutions_at_their_output(name: str) -> None:
    """The published counts, which take those at four times what they cost."""
    card = DETECTORS[name]
    side = card.side or 0
    detector = build_detector(name).to("meta").eval()
    excess = []

    def note(module: nn.Module, given: tuple[Tensor], _: Tensor) -> None:
        assert isinstance(module, nn.ConvTranspose2d)
        excess.append(3 * module.weight.numel() * given[0].shape[-2:].numel())

    counted = flops(detector, side)
    for module in detector.modules():
        if isinstance(module, nn.ConvTranspose2d):
            module.register_forward_hook(note)
    with torch.inference_mode():
        detector(*torch.empty(2, 1, 3, side, side, device="meta"))
    assert (counted + sum(excess)) / 1e9 == pytest.approx(card.flops, rel=0.02)
    assert counted / 1e9 < 0.95 * (card.flops or 0)
