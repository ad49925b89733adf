from copy import deepcopy

import torch
from torch import nn

from terradelta.sam.fingerprint import fingerprint


def test_any_value_and_any_name_tell_weights_apart() -> None:
    first = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    assert fingerprint(first) == fingerprint(deepcopy(first))
    other = deepcopy(first)
    with torch.no_grad():
        other[0].weight[1, 2] += 1e-6
    moved = nn.Sequential(nn.Identity(), *deepcopy(first))
    assert len({fingerprint(first), fingerprint(other), fingerprint(moved)}) == 3


def test_rounded_weights_are_others_and_of_several_networks_all_count() -> None:
    line = nn.Linear(3, 2)
    assert fingerprint(line) != fingerprint(deepcopy(line).bfloat16())
    assert fingerprint(line, line) != fingerprint(line)
    assert fingerprint() == fingerprint()
