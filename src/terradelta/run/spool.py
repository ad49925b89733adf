"""Objects of a scene on disk until all are known: they are written the most changed first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine

from terradelta.geo.grid import Grid
from terradelta.geo.polygons import mask_polygon
from terradelta.geo.scratch import output_errors
from terradelta.run.merge import SceneObject
from terradelta.run.seams import DATES

CHUNK = 2000

Columns = Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]]


class Spool:
    """A file of outlines, and in memory of each object a few numbers. A context manager."""

    def __init__(self, path: Path, grid: Grid) -> None:
        self._path, self._grid = path, grid
        self._ends = [0]
        self._rows: list[tuple[float, ...]] = []

    def __enter__(self) -> Spool:
        with output_errors(self._path):
            self._file = self._path.open("w+b")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # a full disk: what could not be written was told
            self._file.close()
        self._path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, found: SceneObject) -> None:
        """Keep an object.

        Raises:
            OutputError: the disk is full.
        """
        t: Affine = self._grid.transform
        outline = shapely.to_wkb(mask_polygon(found.mask, found.x0, found.y0, t))
        with output_errors(self._path):
            self._file.write(outline)
        self._ends.append(self._ends[-1] + len(outline))
        self._rows.append(
            (
                found.intensity,
                found.iou,
                found.stability,
                found.valid_fraction,
                found.date,
                found.y0,
                found.x0,
                int(found.mask.sum()),
            )
        )

    def chunks(self, model: str, columns: Columns) -> Iterator[geopandas.GeoDataFrame]:
        """All objects, the largest intensity first, some at a time; ids count from 1.

        ``columns`` gives the columns angle and score of intensities float64 [n].

        Raises:
            OutputError: the disk is full.
        """
        with output_errors(self._path):
            self._file.flush()
        rows = np.array(self._rows, float).reshape(-1, 8)
        intensity, iou, stability, valid, date, y0, x0, area = rows.T
        order = np.lexsort((area, x0, y0, -intensity))
        crs = self._grid.crs.to_wkt()
        for first in range(0, len(order), CHUNK):
            some = order[first : first + CHUNK]
            table = {
                "id": np.arange(first + 1, first + len(some) + 1),
                **columns(intensity[some]),
                "iou": iou[some],
                "stability": stability[some],
                "date": np.array(DATES, object)[date[some].astype(int)],
                "valid_fraction": valid[some],
                "model": np.full(len(some), model, object),
            }
            outlines = [self._outline(int(n)) for n in some]
            yield geopandas.GeoDataFrame(table, geometry=outlines, crs=crs)

    def _outline(self, n: int) -> shapely.Geometry:
        self._file.seek(self._ends[n])
        return shapely.from_wkb(self._file.read(self._ends[n + 1] - self._ends[n]))
