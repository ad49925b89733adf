"""The Oracle of AnyChange: what its proposals could tell if they were trained on the dataset.

Zheng, Zhong, Zhang and Ermon, "Segment Any Change", NeurIPS 2024, section 4.2 and appendix C.1.
"""

from terradelta.oracle.files import load_oracle, load_oracle_network, save_oracle
from terradelta.oracle.model import Oracle
from terradelta.oracle.network import OracleNetwork, build_oracle
from terradelta.oracle.score import ScoreNetwork

__all__ = [
    "Oracle",
    "OracleNetwork",
    "ScoreNetwork",
    "build_oracle",
    "load_oracle",
    "load_oracle_network",
    "save_oracle",
]
