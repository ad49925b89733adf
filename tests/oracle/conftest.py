from pathlib import Path

import pytest
import torch

from terradelta.oracle import OracleNetwork, build_oracle
from terradelta.oracle.lora import Lora


@pytest.fixture
def network(sam_folder: Path) -> OracleNetwork:
    """On the tiny SAM; the adapters, which start without effect, have one."""
    torch.manual_seed(0)
    network = build_oracle(str(sam_folder), Lora(rank=4, alpha=8.0, dropout=0.1))
    with torch.no_grad():
        for name, weight in network.encoder.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.1)
    return network
