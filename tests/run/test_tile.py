"""Windows of a made raster of 300 x 220 px, and a segmenter that answers with masks drawn by hand."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
import torch
from numpy.typing import NDArray
from rasterio.transform import Affine

from terradelta.errors import InputError
from terradelta.geo.scene import ScenePair
from terradelta.geo.stretch import Radiometry
from terradelta.geo.tiles import Box, Lattice
from terradelta.run.anychange_tile import LARGEST_PX, AnyChangeScene
from terradelta.run.tile import TilePlan, examine, read_tile
from terradelta.sam.masks import Masks
from terradelta.sam.proposals import point_grid
from terradelta.sam.segmenter import Axis, Defaults, Embedding, Encoded, Proposals, Segmenter
from terradelta.zeroshot.anychange import AnyChange

WIDTH, HEIGHT, PX_M = 300, 220, 0.5
ORIGIN = (500_000.0, 5_400_000.0)
TRANSFORM = Affine(PX_M, 0, ORIGIN[0], 0, -PX_M, ORIGIN[1])
ANCHOR = 1_000_003, -10_800_005
AS_IT_IS = Radiometry((1,) * 3, (0,) * 3, (0,) * 3, (255,) * 3, (10, 20, 30), (40, 50, 60))


class Drawn(Segmenter):
    """Masks of given boxes of the window in either date, whose embeddings are 60 degrees apart."""

    name = "drawn"
    defaults = Defaults(23, 30, points_per_side=128, pred_iou=0, stability=0, nms=0.7)

    def __init__(self, *boxes: Box, canvas_px: int | None = None) -> None:
        self.boxes, self.canvas_px = boxes, canvas_px
        self.asked: list[NDArray[np.float64]] = []

    def encode(self, image: Any, context: Any = None) -> Encoded:
        height, width = image.shape[:2]
        turn = np.radians(float(context))
        z = torch.tensor([np.cos(turn), np.sin(turn)], dtype=torch.float32).view(2, 1, 1)
        place = Axis.half_pixel(height, 1 / height, 1), Axis.half_pixel(width, 1 / width, 1)
        return Encoded((height, width), Embedding(z, *place), None)

    def decode(self, encoded: Encoded, points: NDArray[Any], **wanted: Any) -> Proposals:
        self.asked.append(points)
        dense = np.zeros((len(self.boxes), *encoded.shape), bool)
        for mask, (x0, y0, x1, y1) in zip(dense, self.boxes, strict=True):
            mask[y0:y1, x0:x1] = True
        masks = Masks.from_dense(dense) if len(dense) else Masks.empty(encoded.shape)
        sure = np.linspace(0.9, 0.5, len(dense)).astype(np.float32)
        return Proposals(masks, sure, sure, np.arange(len(dense)))


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    """[2, 3, 220, 300]: before and after."""
    random = np.random.default_rng(0)
    return random.integers(1, 256, (2, 3, HEIGHT, WIDTH)).astype(np.uint8)


@pytest.fixture(scope="module")
def paths(pixels: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("tile")
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 3, "width": WIDTH, "height": HEIGHT,
        "crs": "EPSG:32633", "transform": TRANSFORM, "nodata": 0,
    }  # fmt: skip
    found = []
    for name, bands in zip(("before", "after"), pixels, strict=True):
        found.append(folder / f"{name}.tif")
        with rasterio.open(found[-1], "w", **profile) as target:
            empty = np.zeros((3, 20, 30), np.uint8)
            target.write(bands)
            if name == "after":  # nothing is known of the top left corner
                target.write(empty, window=rasterio.windows.Window(0, 0, 30, 20))
    return found


@pytest.fixture
def plan(paths: list[Path]) -> Callable[..., TilePlan]:
    def make(lattice: Lattice | None = None, *, aoi: Any = None) -> TilePlan:
        lattice = lattice or Lattice(WIDTH, HEIGHT, ANCHOR, 64, 16)
        return TilePlan(ScenePair(*paths), lattice, AS_IT_IS, (0, 60), aoi)

    return make


def looker(segmenter: Drawn, points_per_side: int = 128) -> AnyChangeScene:
    return AnyChangeScene(AnyChange(segmenter, points_per_side=points_per_side))


def window_of(image: NDArray[Any], window: Box) -> NDArray[Any]:
    """A window of an image [H, W, ...] that may reach a pixel beyond it: there it is 0."""
    x0, y0, x1, y1 = window
    padded = np.pad(image, ((1, 1), (1, 1), *(((0, 0),) * (image.ndim - 2))))
    return padded[y0 + 1 : y1 + 1, x0 + 1 : x1 + 1]


# --- reading a window ----------------------------------------------------------------------------


def test_a_window_is_that_part_of_both_dates(
    plan: Callable[..., TilePlan], pixels: NDArray[np.uint8]
) -> None:
    """Windows begin at even numbers of the lattice, here up to a pixel before the grid."""
    known = np.ones((HEIGHT, WIDTH), bool)
    known[:20, :30] = False
    made = plan()
    for tile in made.lattice:
        pair = read_tile(made, tile.key)
        valid = window_of(known, tile.window)
        assert pair.shape == tile.shape
        np.testing.assert_array_equal(pair.valid, valid)
        for image, bands, fill in (
            (pair.before, pixels[0], (10, 20, 30)),
            (pair.after, pixels[1], (40, 50, 60)),
        ):
            expected = window_of(bands.transpose(1, 2, 0), tile.window)
            np.testing.assert_array_equal(image, np.where(valid[..., None], expected, fill))


def test_a_window_that_is_not_cut_at_the_grid_is_invalid_beyond_it(
    plan: Callable[..., TilePlan], pixels: NDArray[np.uint8]
) -> None:
    lattice = Lattice(WIDTH, HEIGHT, (0, 0), 128, 64, clipped=False)
    pair = read_tile(plan(lattice), (1, 2))
    assert lattice[1, 2].window == (192, 64, 448, 320)
    assert pair.shape == (256, 256)
    expected = np.zeros((256, 256), bool)
    expected[: HEIGHT - 64, : WIDTH - 192] = True
    np.testing.assert_array_equal(pair.valid, expected)
    np.testing.assert_array_equal(pair.before[3, 5], pixels[0, :, 67, 197])


def test_outside_the_area_of_interest_nothing_is_valid(plan: Callable[..., TilePlan]) -> None:
    """The columns 100.4 to 140.6 and rows 30.4 to 60: pixels count by their centres."""
    x, y = ORIGIN
    area = shapely.box(x + 100.4 * PX_M, y - 60 * PX_M, x + 140.6 * PX_M, y - 30.4 * PX_M)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[30:60, 100:141] = True
    made = plan(aoi=area)
    for tile in made.lattice:
        pair = read_tile(made, tile.key)
        np.testing.assert_array_equal(pair.valid, window_of(inside, tile.window))


def test_a_file_that_is_cut_off_is_named_with_the_window(
    paths: list[Path], plan: Callable[..., TilePlan], tmp_path: Path
) -> None:
    short = tmp_path / "short.tif"
    short.write_bytes(paths[1].read_bytes()[:-50_000])
    made = plan()
    broken = TilePlan(ScenePair(paths[0], short), made.lattice, AS_IT_IS, (0, 60))
    last = list(made.lattice)[-1].key
    with pytest.raises(InputError, match=r"short\.tif cannot be read in the window \("):
        read_tile(broken, last)


# --- looking at it -------------------------------------------------------------------------------


def test_what_is_found_has_its_angle_between_the_dates(plan: Callable[..., TilePlan]) -> None:
    made, segmenter = plan(), Drawn((10, 10, 30, 20), (40, 40, 50, 60))
    key = made.lattice.owner(150, 100)
    part = examine(made, looker(segmenter), key, read_tile(made, key))
    assert part.key == key
    assert part.valid.all()
    # Either mask in both dates: with an overlap rule of boxes only one of each is left.
    boxes = sorted(map(tuple, part.candidates.masks.boxes.tolist()))
    assert boxes == [(10, 10, 30, 20), (40, 40, 50, 60)]
    np.testing.assert_allclose(part.candidates.angle, [60, 60], atol=1e-4)


def test_a_core_without_data_is_not_looked_at(plan: Callable[..., TilePlan]) -> None:
    """Of the top left tile, whose core is 30 x 20 px, only the halo holds data."""
    made = plan(Lattice(WIDTH, HEIGHT, (34, 44), 64, 16))
    segmenter = Drawn((0, 0, 20, 20))
    key = made.lattice.owner(0, 0)
    pair = read_tile(made, key)
    assert pair.valid.any()
    part = examine(made, looker(segmenter), key, pair)
    assert len(part.candidates.masks) == 0
    np.testing.assert_array_equal(part.valid, pair.valid)
    assert segmenter.asked == []


def test_masks_larger_than_the_halo_are_not_kept_where_images_keep_their_size(
    plan: Callable[..., TilePlan],
) -> None:
    just, over = (0, 20, LARGEST_PX, 40), (0, 60, LARGEST_PX + 1, 80)
    made = plan(Lattice(WIDTH, HEIGHT, (0, 0), 320, 16))
    pair = read_tile(made, (0, 0))
    kept = examine(made, looker(Drawn(just, over)), (0, 0), pair).candidates.masks
    assert kept.boxes.tolist() == [list(just)]
    on_canvas = examine(
        made, looker(Drawn(just, over, canvas_px=1024)), (0, 0), pair
    ).candidates.masks
    assert sorted(on_canvas.boxes.tolist()) == [list(just), list(over)]


def test_every_tile_tries_the_same_places_on_the_ground(plan: Callable[..., TilePlan]) -> None:
    """128 points along 1024 px: at 4, 12, 20 ... px from where the lattice begins."""
    made = plan()
    for tile in made.lattice:
        segmenter = Drawn()
        examine(made, looker(segmenter), tile.key, read_tile(made, tile.key))
        x0, y0, x1, y1 = tile.window
        x = [x - x0 for x in range(x0, x1) if (x + ANCHOR[0]) % 8 == 4]
        y = [y - y0 for y in range(y0, y1) if (y + ANCHOR[1]) % 8 == 4]
        for points in segmenter.asked:
            assert points.tolist() == [[column, row] for row in y for column in x]
        assert len(segmenter.asked) == 2


@pytest.mark.parametrize("canvas", [None, 1024])
def test_a_grid_over_the_window_where_it_is_all_or_is_resampled(
    plan: Callable[..., TilePlan], canvas: int | None
) -> None:
    side = 256 if canvas is None else 64
    made = plan(Lattice(WIDTH, HEIGHT, (0, 0), side, 32))
    segmenter, key = Drawn(canvas_px=canvas), made.lattice.owner(150, 100)
    assert made.lattice.is_single == (canvas is None)
    examine(made, looker(segmenter, 5), key, read_tile(made, key))
    for points in segmenter.asked:
        np.testing.assert_array_equal(points, point_grid(made.lattice[key].shape, 5))
    assert len(segmenter.asked) == 2


def test_a_plan_can_be_sent_to_another_process(plan: Callable[..., TilePlan]) -> None:
    made = plan(aoi=shapely.box(*ORIGIN, ORIGIN[0] + 60, ORIGIN[1] - 60))
    key = made.lattice.owner(60, 60)
    pair = read_tile(made, key)
    again = read_tile(pickle.loads(pickle.dumps(made)), key)  # noqa: S301
    np.testing.assert_array_equal(again.before, pair.before)
    np.testing.assert_array_equal(again.valid, pair.valid)
