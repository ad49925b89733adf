"""One process or many, and on what device: all through accelerate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from terradelta.errors import UsageError

if TYPE_CHECKING:
    from accelerate import Accelerator

PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
DEVICES: dict[str, Callable[[], bool]] = {
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}


def start_processes(precision: str, device: str | None) -> Accelerator:
    """This process among those that `accelerate launch` started, or alone.

    Raises:
        UsageError: accelerate is not installed, no such device, or not with this precision.
    """
    try:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise UsageError("training needs accelerate: pip install 'terradelta[train]'") from error
    if device is not None and device not in DEVICES:
        raise UsageError(f"unknown device {device!r}: use {', '.join(DEVICES)}")
    if device is not None and not DEVICES[device]():
        raise UsageError(f"device {device!r} is not available on this machine; use 'cpu'")
    # accelerate keeps its state for the whole process: a second training may want another.
    AcceleratorState._reset_state(reset_partial_state=True)
    try:
        return Accelerator(cpu=device == "cpu", mixed_precision=PRECISIONS[precision])
    except (ValueError, ImportError) as error:
        raise UsageError(f"precision {precision} does not work on this device: {error}") from error


def share_batch_statistics(network: nn.Module, accelerator: Accelerator) -> None:
    """Let its batch norms see the batch of all processes, where torch can do that: on CUDA."""
    if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)


def same_buffers(network: nn.Module, accelerator: Accelerator) -> None:
    """Give all processes the running statistics of the first."""
    if accelerator.num_processes > 1:
        from accelerate.utils import broadcast

        for buffer in network.buffers():
            buffer.copy_(broadcast(buffer))


def from_first(value: Any, accelerator: Accelerator) -> Any:
    """What the first process has, in all of them."""
    if accelerator.num_processes == 1:
        return value
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]
