"""Where a network runs."""

from __future__ import annotations

import torch

from terradelta.errors import UsageError


def usable_device(name: torch.device | str) -> torch.device:
    """The device of that name.

    Raises:
        UsageError: there is none of that name, or this machine lacks it.
    """
    try:
        return torch.empty(0, device=name).device
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise UsageError(
            f"device {str(name)!r} is not available on this machine; use 'cpu'"
        ) from error
