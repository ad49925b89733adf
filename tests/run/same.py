"""Whether two folders of results hold the same."""

from pathlib import Path

import geopandas
import numpy as np
import rasterio

from terradelta.types import Progress


def assert_same_results(first: Path, second: Path) -> None:
    for name in ("change_mask.tif", "score.tif", "overlay.png"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    tables = [geopandas.read_file(f / "changes.gpkg", layer="changes") for f in (first, second)]
    assert len(tables[0]) > 0
    assert tables[0].equals(tables[1])


def score(folder: Path) -> np.ndarray:
    with rasterio.open(folder / "score.tif") as source:
        return np.asarray(source.read(1))


def interrupted_after(tiles: int) -> Progress:
    """A progress that interrupts the run when so many tiles are done."""

    def interrupt(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("tiles", tiles):
            raise KeyboardInterrupt

    return interrupt
