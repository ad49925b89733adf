"""``terradelta search``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from terradelta.cli import options as o
from terradelta.cli.console import err, out, print_json, progress
from terradelta.errors import InputError, UsageError

if TYPE_CHECKING:
    from datetime import date

    from terradelta.geo.stac_search import Item, Search


def search(
    api: Annotated[str, typer.Argument(help="URL of a STAC API.", metavar="API")],
    folder: o.OutOption,
    collection: Annotated[str, typer.Option(help="Id of a collection of the API.")],
    bbox: Annotated[
        str, typer.Option(help="West, south, east, north in degrees.", metavar="W,S,E,N")
    ],
    before: Annotated[
        str, typer.Option(help="First and last day of the earlier date.", metavar="DAY/DAY")
    ],
    after: Annotated[
        str, typer.Option(help="First and last day of the later date.", metavar="DAY/DAY")
    ],
    asset: Annotated[str, typer.Option(help="Name of the asset to fetch.")] = "visual",
    cloud: Annotated[
        float, typer.Option(help="Most clouds of an item, in percent.", min=0, max=100)
    ] = 20.0,
    limit: Annotated[int, typer.Option(help="Most pairs to fetch.", min=1)] = 20,
    json: o.JsonOption = False,
) -> None:
    """Fetch pairs of images from a STAC API, and a table of them for `detect --pairs`.

    Files that are there are not fetched again. Needs pystac-client: pip install 'terradelta[stac]'.
    """
    from terradelta.geo.files import writable_folder
    from terradelta.geo.stac_fetch import fetch_pairs
    from terradelta.geo.stac_search import Search, pair_items

    asked = Search(api, collection, _box(bbox), asset, cloud)
    periods = _period("before", before), _period("after", after)
    if periods[0][1] >= periods[1][0]:
        raise UsageError(f"--before {before} has to end before --after {after} begins")
    writable_folder(folder)
    with progress() as report:
        report("search before", 0, 2)
        earlier = _find("before", asked, periods[0])
        report("search after", 1, 2)
        later = _find("after", asked, periods[1])
        pairs = pair_items(earlier, later, limit + 1)
        if not pairs:
            raise InputError("no item of before shows the same place as one of after")
        names, failed = fetch_pairs(pairs[:limit], folder, report)
    if len(pairs) > limit:
        err.print(f"note: there are more pairs than --limit {limit}")
    for line in failed:
        err.print(f"failed: {line}")
    if not names:
        raise InputError("no pair could be fetched")
    if json:
        print_json({"pairs": str(folder / "pairs.csv"), "names": names, "failed": failed})
        return
    for name in names:
        out.print(name)
    out.print(f"{len(names)} of {len(pairs[:limit])} pairs, see {folder / 'pairs.csv'}")


def _find(name: str, asked: Search, period: tuple[date, date]) -> list[Item]:
    from terradelta.geo.stac_search import find_items

    items, left_out = find_items(asked, period)
    reasons = "; ".join(f"{count} {reason}" for reason, count in sorted(left_out.items()))
    if not items:
        raise InputError(f"no item for {name}: {reasons or 'the API has none there in these days'}")
    if reasons:
        err.print(f"note: left out for {name}: {reasons}")
    return items


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        west = south = east = north = 0.0
    if not (-90 <= south < north <= 90 and max(abs(west), abs(east)) <= 180 and west != east):
        raise UsageError(
            f"--bbox {text}: give west, south, east, north in degrees, as 4.7,52.2,5,52.4"
        )
    return west, south, east, north


def _period(name: str, text: str) -> tuple[date, date]:
    from datetime import date

    try:
        first, last = map(date.fromisoformat, text.split("/"))
    except ValueError:
        first, last = date.max, date.min
    if first > last:
        raise UsageError(
            f"--{name} {text}: give the first and the last day, as 2023-06-01/2023-06-30"
        )
    return first, last
