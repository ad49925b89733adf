"""Binary masks as polygons."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from rasterio.transform import Affine
from shapely.affinity import affine_transform
from shapely.geometry import MultiPolygon, Polygon, shape

SIMPLIFY_PX = 0.5


def mask_polygon(
    mask: NDArray[np.bool_], x0: int, y0: int, transform: Affine | None = None
) -> Polygon | MultiPolygon:
    """The outline of a mask, with its holes.

    ``mask`` bool [h, w] whose top left pixel is (x0, y0) of the image. Corners lie on pixel edges and
    are simplified by at most half a pixel. ``transform`` maps (column, row) to other coordinates;
    without it they are pixels, origin top left, y down.
    """
    # GDAL joins pixels that touch at a corner under 8-connectivity into one ring that crosses itself.
    parts = [shape(g) for g, value in shapes(mask.astype(np.uint8), mask=mask, connectivity=4)]
    outline = shapely.union_all(parts) if len(parts) > 1 else parts[0]
    simple = shapely.make_valid(outline.simplify(SIMPLIFY_PX, preserve_topology=True))
    simple = _only_polygons(simple if not simple.is_empty else outline)
    moved = affine_transform(simple, (1, 0, 0, 1, x0, y0))
    if transform is None:
        return moved
    return affine_transform(
        moved, (transform.a, transform.b, transform.d, transform.e, transform.c, transform.f)
    )


def _only_polygons(geometry: shapely.Geometry) -> Polygon | MultiPolygon:
    if isinstance(geometry, Polygon | MultiPolygon):
        return geometry
    pieces = [part for part in shapely.get_parts(geometry) if part.area > 0]
    return pieces[0] if len(pieces) == 1 else MultiPolygon(pieces)
