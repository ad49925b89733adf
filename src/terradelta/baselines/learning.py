"""What the baselines that learn share: seeds, the training loop, weights on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from terradelta.errors import ModelError, UsageError
from terradelta.geo.files import replacing
from terradelta.types import Progress


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random weights that are made inside depend on the seed alone; the caller's generator is kept.

    For networks that are made on the CPU and moved to their device afterwards.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def check_counts(**counts: int) -> None:
    """Raises UsageError unless every setting is a whole number of at least 1."""
    for name, count in counts.items():
        if count < 1 or count != int(count):
            raise UsageError(f"{name} is {count}: it must be a whole number of at least 1")


def minimise(
    loss: Callable[[], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    steps: int,
    progress: Progress,
) -> None:
    """Take that many steps down the loss, which draws its own batches."""
    for step in range(steps):
        progress("training", step, steps)
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    progress("training", steps, steps)


def save_weights(path: str | Path, network: nn.Module, about: Mapping[str, str]) -> None:
    """Write the tensors of a network and what they are of as one safetensors file.

    Raises:
        OutputError: the file cannot be written.
    """
    state = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    with replacing(Path(path)) as temporary:
        save_file(state, temporary, metadata=dict(about))


def load_weights(path: str | Path, network: nn.Module, about: Mapping[str, str]) -> None:
    """Read what `save_weights` wrote into a network of the same kind.

    Raises:
        ModelError: unreadable, or weights of something else.
    """
    try:
        with safe_open(path, "pt") as file:
            stated = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} cannot be read as safetensors weights: {error}") from error
    if stated != about:
        raise ModelError(f"{path} holds weights of {stated or 'something else'}, not of {about}")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"the tensors of {path} do not fit the network {about}") from error
