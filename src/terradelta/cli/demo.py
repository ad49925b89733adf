"""``terradelta demo``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from terradelta.cli import options as o
from terradelta.cli.console import out, print_json, progress


def demo(
    folder: o.OutOption = Path("demo"),
    seed: Annotated[int, typer.Option(help="Which scene is made.")] = 2,
    size: Annotated[int, typer.Option(help="Side of the scene in pixels of half a metre.")] = 1024,
    json: o.JsonOption = False,
) -> None:
    """Make a scene with known changes, find them, and compare with the truth."""
    from terradelta import AnyChange, make_scene
    from terradelta.geo.files import writable_folder
    from terradelta.metrics import PixelCounts

    writable_folder(folder)
    scene = make_scene(size, seed=seed)
    scene.save(folder)
    started = time.perf_counter()
    with progress() as report:
        changes = AnyChange().detect(folder / "before.tif", folder / "after.tif", progress=report)
    seconds = time.perf_counter() - started
    changes.save(folder)
    counts = PixelCounts.of(changes.to_mask(), scene.truth)
    if json:
        scores = counts.as_dict()
        print_json({**scores, "changes": len(changes), "seconds": seconds, "folder": str(folder)})
        return
    kinds = ", ".join(sorted({event.kind.value for event in scene.events}))
    out.print(f"scene     {size} x {size} px, {len(scene.events)} events ({kinds})")
    out.print(f"changes   {len(changes)} above {changes.threshold:g} degrees in {seconds:.1f} s")
    for name, value in (
        ("precision", counts.precision),
        ("recall", counts.recall),
        ("F1", counts.f1),
    ):
        out.print(f"{name:<9} {value:.3f}")
    out.print(
        f"files     {folder}: changes.gpkg, change_mask.tif, score.tif, overlay.png, run.json"
    )
