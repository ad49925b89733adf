"""What is told of a measurement: a record for a file, and tables for people."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from terradelta import __version__
from terradelta.bench.clock import STAGES, Seconds
from terradelta.bench.settings import POINTS_PER_BATCH, Protocol, batches_of
from terradelta.bench.speed import Measurement

if TYPE_CHECKING:
    from rich.table import Table

PACKAGES = ("torch", "torchvision", "transformers", "numpy", "scipy")


def file_name(protocol: Protocol) -> str:
    """``speed-<peer>-<size>-<points>-<device>-<dtype>.json``; weights of a file go by its name."""
    size = Path(protocol.model).stem if protocol.model else protocol.size
    parts = (
        protocol.against,
        size,
        str(protocol.points_per_side),
        protocol.device,
        protocol.dtype,
    )
    return "-".join(["speed", *(re.sub(r"[^\w.-]+", "_", part) for part in parts)]) + ".json"


def record(found: Measurement, images: tuple[Path, Path] | None = None) -> dict[str, Any]:
    """Everything as plain numbers and text, without absolute paths."""
    protocol, speedup = found.protocol, found.speedup
    return {
        "speedup": speedup.median,
        "speedup_min": speedup.min,
        "speedup_max": speedup.max,
        "speedup_by_stage": {name: r.median for name, r in found.speedup_by_stage.items()},
        "spread_by_stage": {
            name: {"min": r.min, "max": r.max} for name, r in found.speedup_by_stage.items()
        },
        "seconds": {"ours": _medians(found.ours), "peer": _medians(found.peer)},
        "runs": {
            "ours": [s.as_dict() for s in found.ours],
            "peer": [s.as_dict() for s in found.peer],
            "peer_measured": [s.as_dict() for s in found.peer_measured],
        },
        "peak_memory_bytes": found.peak_bytes,
        "peak_memory": _peak_note(protocol.device),
        "agreement": asdict(found.agreement),
        "thresholds": asdict(found.thresholds),
        "scaling": {**asdict(found.scaling), "scaled": not found.scaling.whole},
        "scaled": scaling_note(found),
        "peer": {"name": protocol.against, "what": found.peer_what},
        "fairness": fairness_note(protocol),
        "weights": weights_note(protocol),
        "image_px": list(found.shape),
        "images": [path.name for path in images] if images else "a made scene",
        "settings": {
            "points_per_side": protocol.points_per_side,
            "device": protocol.device,
            "dtype": protocol.dtype,
            "repeats": protocol.repeats,
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(protocol.device),
        "versions": versions(found.packages),
        "command": command(protocol, images),
    }


def scaling_note(found: Measurement) -> str:
    """One plain statement of what was really run and what was scaled."""
    s, peer = found.scaling, found.protocol.against
    if s.whole:
        return f"nothing: both sides ran all {s.points_all} points of each date"
    return (
        f"{peer} ran {s.points_run} of {s.points_all} points of each date "
        f"({batches_of(s.points_run)} of {batches_of(s.points_all)} batches of {POINTS_PER_BATCH}), "
        f"spread over the grid. Its proposing is multiplied by {s.points_all / s.points_run:.4g}; its "
        f"matching, but for upsampling the embeddings, from {s.masks_run} masks to the {s.masks_all} "
        f"that we matched on the whole grid. Its encoding is as measured. Ours is never scaled"
    )


def fairness_note(protocol: Protocol) -> str:
    """What one side has of the other because they share a process."""
    notes = ["both sides share one process, one copy of the weights and torch's threads"]
    if protocol.device == "cpu":
        notes.append(
            "what terradelta sets on Linux for the allocator is undone while the peer runs, to where "
            "glibc's own adaptation ends"
        )
    if protocol.dtype != "float32":
        notes.append("the peer runs under the same torch.autocast as ours")
    return "; ".join(notes)


def weights_note(protocol: Protocol) -> str:
    if protocol.model:
        return Path(protocol.model).name
    return (
        f"random {protocol.size}, seeded; thresholds set so that 7.5 % of all masks pass both, and half "
        f"of these are changes"
    )


def _peak_note(device: str) -> str:
    if device.startswith("cuda"):
        return "ours: most that torch allocated on the GPU, weights included"
    return "ours: most resident memory of the whole process in its first run, weights included"


def _medians(runs: list[Seconds]) -> dict[str, float]:
    return {name: median(s.as_dict()[name] for s in runs) for name in (*STAGES, "total")}


def commit() -> str | None:
    """Of the checkout that this package is part of, with ``-dirty`` if files differ from it."""
    here = str(Path(__file__).parent)
    known = ("git", "-C", here, "ls-files", "--error-unmatch", "../__init__.py")
    name = ("git", "-C", here, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        subprocess.run(known, capture_output=True, check=True)  # noqa: S603
        answer = subprocess.run(name, capture_output=True, check=True, text=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def machine(device: str) -> dict[str, Any]:
    """The processor or GPU by name, cores, and threads that torch uses."""
    described: dict[str, Any] = {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }
    if device.startswith("cuda"):
        described["gpu"] = torch.cuda.get_device_name(torch.device(device))
    return described


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    known = {"terradelta": __version__, "python": platform.python_version()}
    for name in (*PACKAGES, *packages):
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    return known


def command(protocol: Protocol, images: tuple[Path, Path] | None) -> str:
    """The command that repeats it; files go by their names."""
    words = ["terradelta", "bench", "speed", *(path.name for path in images or ())]
    words += ["--against", protocol.against, "--points", str(protocol.points_per_side)]
    words += ["--device", protocol.device, "--dtype", protocol.dtype]
    if protocol.model:
        words += ["--model", Path(protocol.model).name]
    else:
        words += ["--size", protocol.size]
    words += ["--repeats", str(protocol.repeats)]
    if protocol.peer_batches is not None:
        words += ["--peer-batches", str(protocol.peer_batches)]
    return shlex.join(words)


def table(told: dict[str, Any]) -> Table:
    """Seconds by stage of both sides and their ratio, from a `record`."""
    from rich.table import Table

    seconds = told["seconds"]
    ratios = {**told["speedup_by_stage"], "total": told["speedup"]}
    spread = {
        **told["spread_by_stage"],
        "total": {"min": told["speedup_min"], "max": told["speedup_max"]},
    }
    drawn = Table(box=None, pad_edge=False)
    for heading in ("seconds", "terradelta", told["peer"]["name"], "ratio", "min", "max"):
        drawn.add_column(heading, justify="left" if heading == "seconds" else "right")
    for name in (*STAGES, "total"):
        drawn.add_row(
            "end to end" if name == "total" else name,
            f"{seconds['ours'][name]:.3f}",
            f"{seconds['peer'][name]:.3f}",
            f"{ratios[name]:.2f}",
            f"{spread[name]['min']:.2f}",
            f"{spread[name]['max']:.2f}",
        )
    return drawn


def lines(told: dict[str, Any]) -> list[str]:
    """The rest of a `record` for people: agreement, memory, thresholds, scaling."""
    same, limits, name = told["agreement"], told["thresholds"], told["peer"]["name"]
    peak = told["peak_memory_bytes"]
    memory = "not measured" if peak is None else f"{peak / 1e9:.2f} GB ({told['peak_memory']})"
    agreed = (
        f"mean best mask IoU {same['mean_best_iou']:.5f}"
        if same["peer_masks"]
        else "none to compare"
    )
    if same["matched"]:
        agreed += f", largest score difference {same['largest_score_difference']:.2g}"
    return [
        f"agreement   on {same['points']} points of each date: {same['our_masks']} changes of ours, "
        f"{same['peer_masks']} of {name}; {agreed}",
        f"memory      {memory}",
        f"thresholds  predicted IoU {limits['pred_iou']:.4f}, stability {limits['stability']:.4f}, "
        f"NMS {limits['nms']:g}, angle {limits['angle']:.2f} degrees",
        f"weights     {told['weights']}",
        f"scaled      {told['scaled']}",
    ]
