from pathlib import Path

import pytest

from terradelta.oracle import OracleNetwork, load_oracle_network


@pytest.fixture
def network(oracle_folder: Path) -> OracleNetwork:
    """A network of one's own, as a training has it."""
    return load_oracle_network(oracle_folder).train()
