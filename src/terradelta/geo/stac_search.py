"""What a STAC API has of a place in two periods, and which of it makes pairs.

Item search of STAC API 1.0, through pystac-client. What a catalog says is not trusted: its names become
plain file names, and only http and https are followed, or file if the API is on this machine.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import product
from math import inf
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urljoin, urlsplit

import numpy as np
import shapely

from terradelta.errors import InputError, UsageError

MOSTLY = 0.9
"""Share of a ground that stands for all of it."""
MOST_ITEMS = 1000
TIMEOUT_S = (10.0, 60.0)
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Search:
    """The ``asset`` of the items of a ``collection`` in ``bbox``: west, south, east, north in degrees;
    across 180 degrees west is the larger one. Items with over ``cloud`` percent are left out, not
    those that do not tell their clouds."""

    api: str
    collection: str
    bbox: tuple[float, float, float, float]
    asset: str = "visual"
    cloud: float = 20.0


@dataclass(frozen=True)
class Item:
    """An image of a catalog: its ``place`` on the catalog's own grid (empty: not told), ``cloud`` in
    percent (infinite: not told), its ``ground`` in the box as a geometry, and the ``file`` that it
    becomes, relative to the folder of the results."""

    id: str
    place: str
    day: date
    cloud: float
    ground: Any
    href: str
    file: PurePosixPath


def find_items(search: Search, period: tuple[date, date]) -> tuple[list[Item], Counter[str]]:
    """The items from the first to the last day, sorted by id, and why how many were left out.

    Raises:
        InputError: the API cannot be reached, is none, or has over `MOST_ITEMS` items.
        UsageError: pystac-client is not installed.
    """
    items: list[Item] = []
    left_out = Counter[str]()
    for feature in _ask(search, period):
        try:
            items.append(_read(feature, search))
        except InputError as reason:
            left_out[str(reason)] += 1
        except (AttributeError, LookupError, TypeError, ValueError, shapely.errors.ShapelyError):
            left_out["not to be understood"] += 1
    return sorted(items, key=lambda item: item.id), left_out


def pair_items(
    before: Sequence[Item], after: Sequence[Item], limit: int
) -> list[tuple[Item, Item]]:
    """At most ``limit`` pairs of items of the same place that show as much ground as can be.

    One by one: the pair with the largest common ground that none before it shows; of those that hold
    `MOSTLY` of the same ground, the one with the least clouds, then the most ground, then by id. Ground
    of which `MOSTLY` is shown already makes no pair.
    """
    both = [
        (one, other)
        for one, other in product(before, after)
        if one.place == other.place and one.ground.intersects(other.ground)
    ]
    common = np.array([shapely.intersection(b.ground, a.ground) for b, a in both], object)
    unseen, pairs = common, list[tuple[Item, Item]]()
    while len(pairs) < limit:
        left = np.flatnonzero(shapely.area(unseen) > (1 - MOSTLY) * shapely.area(common))
        if not len(left):
            break
        both, common, unseen = [both[k] for k in left], common[left], unseen[left]
        size = shapely.area(unseen).round(12)
        largest = unseen[size.argmax()]
        held = shapely.area(shapely.intersection(unseen, largest))
        alike = np.flatnonzero(held >= MOSTLY * size.max())
        chosen = min(alike, key=lambda k: _rank(*both[k], size[k]))
        pairs.append(both[chosen])
        unseen = shapely.difference(unseen, shapely.union(common[chosen], largest))
    return pairs


def plain(text: object) -> str:
    """What a server said, as a short piece of one line."""
    printable = "".join(c if c.isprintable() else " " for c in str(text))
    return " ".join(printable.split())[:300]


def file_name(text: str) -> str:
    """The text if it can name a file anywhere; else what of it can, and a hash that tells it apart."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:100].strip(".")
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
    return name if name == text else f"{name}-{digest[:8]}"


def _ask(search: Search, period: tuple[date, date]) -> list[Any]:
    """The features that the API gives, as they are."""
    try:
        from pystac_client import Client
        from pystac_client.exceptions import APIError
    except ImportError as error:
        raise UsageError(
            "a STAC search needs pystac-client: pip install 'terradelta[stac]'"
        ) from error
    try:
        found = Client.open(search.api, timeout=TIMEOUT_S).search(
            method="GET",  # an API need not know POST
            collections=[search.collection],
            bbox=search.bbox,
            datetime=f"{period[0]}/{period[1]}",
            limit=100,
            max_items=MOST_ITEMS + 1,
        )
        features = list(found.items_as_dicts())
    except APIError as error:
        status = getattr(error, "status_code", "")
        raise InputError(f"{search.api} does not answer: {plain(f'{status} {error}')}") from error
    except Exception as error:  # of many kinds, for what is no catalog
        raise InputError(
            f"{search.api} is no STAC API that can be searched: {plain(error)}"
        ) from error
    if len(features) > MOST_ITEMS:
        raise InputError(
            f"over {MOST_ITEMS:,} items from {period[0]} to {period[1]}: give a smaller box or a "
            f"shorter period"
        )
    return features


def _read(feature: Any, search: Search) -> Item:
    """The item; an InputError says why it is left out."""
    properties, assets = feature["properties"], feature["assets"]
    told = properties.get("eo:cloud_cover")  # -1 where nobody looked
    cloud = float(told) if isinstance(told, int | float) and 0 <= told <= 100 else inf
    if search.cloud < cloud < inf:
        raise InputError(f"over {search.cloud:g} % cloud")
    if search.asset not in assets:
        raise InputError(f"without {search.asset}, but with {plain(', '.join(sorted(assets)))}")
    links = {link.get("rel"): link.get("href") for link in feature.get("links", ())}
    href = urljoin(links.get("self") or search.api, assets[search.asset]["href"])
    url = urlsplit(href)
    local = url.scheme == "file" and urlsplit(search.api).hostname in THIS_MACHINE
    if url.scheme not in ("http", "https") and not local:
        raise InputError(f"at {plain(url.scheme)}:, which is not followed")
    ground = shapely.intersection(
        shapely.make_valid(shapely.geometry.shape(feature["geometry"])), _frame(search.bbox)
    )
    if not ground.area > 0:
        raise InputError("outside the box")
    suffix = re.search(r"\.[A-Za-z0-9]{1,4}$", url.path)
    name = f"{file_name(str(feature['id']))}-{file_name(search.asset)}{suffix[0] if suffix else ''}"
    return Item(
        id=str(feature["id"]),
        place=_place(properties),
        day=date.fromisoformat((properties["datetime"] or properties["start_datetime"])[:10]),
        cloud=cloud,
        ground=ground,
        href=href,
        file=PurePosixPath(file_name(search.collection), name),
    )


def _place(properties: dict[str, Any]) -> str:
    """As the grid extension writes it: "MGRS-31UFU", "WRS2-198026"."""
    path, row = properties.get("landsat:wrs_path"), properties.get("landsat:wrs_row")
    if "grid:code" in properties:
        return str(properties["grid:code"])
    if "s2:mgrs_tile" in properties:
        return f"MGRS-{properties['s2:mgrs_tile']}"
    if path and row:
        return f"WRS{properties.get('landsat:wrs_type', 2)}-{path:0>3}{row:0>3}"
    return ""


def _frame(bbox: tuple[float, float, float, float]) -> Any:
    west, south, east, north = bbox
    if west < east:
        return shapely.box(west, south, east, north)
    return shapely.union(
        shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)
    )


def _rank(before: Item, after: Item, size: float) -> tuple[float, float, str, str]:
    return before.cloud + after.cloud, -size, before.id, after.id
