"""Which weights a network has."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def fingerprint(*networks: torch.nn.Module) -> str:
    """The same for the same weights, in float32, by their names and all their values."""
    found = hashlib.sha256()
    for network in networks:
        for name, weight in network.state_dict().items():
            found.update(name.encode())
            found.update(weight.detach().cpu().float().contiguous().numpy())
    return found.hexdigest()
