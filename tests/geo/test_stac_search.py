from datetime import date
from math import inf
from typing import Any

import pytest
import shapely

from terradelta.errors import UsageError
from terradelta.geo import stac_search
from terradelta.geo.stac_search import Item, Search, file_name, find_items, pair_items, plain

JUNE = date(2020, 6, 1), date(2020, 6, 30)
BOX = (5.0, 52.0, 6.0, 53.0)


def feature(identifier: str = "a", **properties: Any) -> dict[str, Any]:
    """An item of 2020-06-12 whose footprint is from 5.5 to 7 degrees east."""
    return {
        "type": "Feature",
        "id": identifier,
        "geometry": shapely.geometry.mapping(shapely.box(5.5, 52, 7, 53)),
        "properties": {"datetime": "2020-06-12T10:40:31Z", **properties},
        "links": [{"rel": "self", "href": "https://catalog.org/items/a.json"}],
        "assets": {"visual": {"href": "../files/a.TIF?sig=x.y/z"}, "red": {"href": "r.tif"}},
    }


def found(
    monkeypatch: pytest.MonkeyPatch, *features: Any, **asked: Any
) -> tuple[list[Item], dict[str, int]]:
    """What is made of features that an API gave."""
    monkeypatch.setattr(stac_search, "_ask", lambda search, period: list(features))
    settings = {"api": "https://catalog.org", "collection": "s2", "bbox": BOX, **asked}
    items, left_out = find_items(Search(**settings), JUNE)
    return items, dict(left_out)


def item(identifier: str, west: float, east: float, cloud: float = 0, place: str = "") -> Item:
    """An item that shows a strip of one degree of latitude."""
    ground = shapely.box(west, 0, east, 1)
    path = stac_search.PurePosixPath(f"{identifier}.tif")
    return Item(identifier, place, date(2020, 6, 12), cloud, ground, "", path)


def ids(pairs: list[tuple[Item, Item]]) -> list[str]:
    return [before.id + after.id for before, after in pairs]


def test_an_item_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    ((read,), left_out) = found(monkeypatch, feature(**{"eo:cloud_cover": 12.5}))
    assert left_out == {}
    assert (read.id, read.day, read.cloud) == ("a", date(2020, 6, 12), 12.5)
    assert read.ground.equals(shapely.box(5.5, 52, 6, 53))
    assert read.href == "https://catalog.org/files/a.TIF?sig=x.y/z"
    assert str(read.file) == "s2/a-visual.TIF"


@pytest.mark.parametrize(
    ("properties", "place"),
    [
        ({"grid:code": "MGRS-31UFU", "s2:mgrs_tile": "31UFV"}, "MGRS-31UFU"),
        ({"s2:mgrs_tile": "31UFU"}, "MGRS-31UFU"),
        ({"landsat:wrs_path": "198", "landsat:wrs_row": "026"}, "WRS2-198026"),
        ({"landsat:wrs_path": 8, "landsat:wrs_row": 6, "landsat:wrs_type": "1"}, "WRS1-008006"),
        ({}, ""),
    ],
)
def test_the_place_is_that_of_the_catalogs_grid(
    monkeypatch: pytest.MonkeyPatch, properties: dict[str, Any], place: str
) -> None:
    ((read,), _) = found(monkeypatch, feature(**properties))
    assert read.place == place


@pytest.mark.parametrize("told", [None, -1, "much", float("nan"), 101])
def test_clouds_that_nobody_knows_do_not_leave_an_item_out(
    monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    ((read,), _) = found(monkeypatch, feature(**{"eo:cloud_cover": told}), cloud=0)
    assert read.cloud == inf


def test_what_is_left_out_is_counted_by_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    cloudy, far = (feature(**{"eo:cloud_cover": 20.1}) for _ in range(2))
    far["properties"]["eo:cloud_cover"] = 20
    far["geometry"] = shapely.geometry.mapping(shapely.box(6, 52, 7, 53))
    bare, placeless, timeless = feature(), feature(), feature(datetime="soon")
    del bare["assets"]["visual"]
    placeless["geometry"] = None
    items, left_out = found(monkeypatch, cloudy, far, bare, cloudy, placeless, timeless, None, [])
    assert items == []
    assert left_out == {
        "over 20 % cloud": 2,
        "outside the box": 1,
        "without visual, but with red": 1,
        "not to be understood": 4,
    }


@pytest.mark.parametrize(
    ("api", "href", "scheme"),
    [
        ("https://catalog.org", "file:///etc/passwd", "file"),
        ("https://127.0.0.1.org", "file:///etc/passwd", "file"),
        ("http://localhost:8080", "s3://bucket/a.tif", "s3"),
        ("https://catalog.org", "/vsicurl/x", None),
        ("http://127.0.0.1:8080", "file:///data/a.tif", None),
    ],
)
def test_only_the_web_is_followed_and_files_of_an_api_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, api: str, href: str, scheme: str | None
) -> None:
    given = feature()
    given["assets"]["visual"]["href"] = href
    items, left_out = found(monkeypatch, given, api=api)
    if scheme:
        assert left_out == {f"at {scheme}:, which is not followed": 1}
    else:
        assert items[0].href in ("https://catalog.org/vsicurl/x", "file:///data/a.tif")


@pytest.mark.parametrize("hostile", ["../../x", "/etc/x", "..", "", "a\\..\\b", "a\0b", "\ud800"])
def test_no_name_leads_out_of_the_folder(monkeypatch: pytest.MonkeyPatch, hostile: str) -> None:
    ((read,), _) = found(monkeypatch, feature(hostile), collection="../" + hostile)
    folder, name = read.file.parts
    for part in (folder, name):
        assert part == file_name(part)
        assert part not in ("", ".", "..")


def test_names_that_are_cut_down_stay_apart() -> None:
    assert file_name("S2A_31UFU.v1-0") == "S2A_31UFU.v1-0"
    cut = {file_name(text) for text in ("a/b", "a b", "a?b", "x" * 101, "x" * 102)}
    assert len(cut) == 5
    assert all(len(name) <= 109 and name.isascii() for name in cut)


def test_what_a_server_says_stays_on_one_line() -> None:
    assert plain("<html>\r\n \x1b[31mno\n") == "<html> [31mno"
    assert len(plain("a" * 1000)) == 300


def test_a_box_across_180_degrees(monkeypatch: pytest.MonkeyPatch) -> None:
    west, east = feature("east"), feature("west")
    west["geometry"] = shapely.geometry.mapping(shapely.box(178, 52, 180, 53))
    east["geometry"] = shapely.geometry.mapping(shapely.box(-180, 52, -178, 53))
    items, _ = found(monkeypatch, west, feature("far"), east, bbox=(179, 52, -179.5, 53))
    assert [read.ground.area for read in items] == [1.0, 0.5]


def test_one_pair_a_place_with_the_least_clouds() -> None:
    before = [item("a", 0, 1, 9, "one"), item("b", 0, 1, 3, "one"), item("c", 1, 2, 0, "two")]
    after = [item("d", 0, 1, 1, "one"), item("e", 0, 1, 2, "one"), item("f", 1, 2, 0, "two")]
    assert ids(pair_items(before, after, 9)) == ["bd", "cf"]
    assert ids(pair_items(before[::-1], after[::-1], 9)) in (["bd", "cf"], ["cf", "bd"])


def test_items_of_two_places_of_a_grid_are_not_paired() -> None:
    one, two = item("a", 0, 1, place="one"), item("b", 0, 1, place="two")
    assert pair_items([one], [two], 9) == []
    assert ids(pair_items([item("a", 0, 1)], [item("b", 0, 1)], 9)) == ["ab"]


def test_without_a_grid_the_largest_overlap_is_the_same_place() -> None:
    before = [item("a", 0, 1.1), item("b", 1, 2)]
    after = [item("c", 0.95, 2), item("d", 0, 1)]
    assert ids(pair_items(before, after, 9)) == ["ad", "bc"]


def test_a_clear_edge_does_not_stand_for_a_clouded_whole() -> None:
    """The sliver of a neighbouring orbit is often clear; it shows little."""
    before = [item("whole", 0, 1, 15, "t"), item("edge", 0, 0.1, 0, "t")]
    after = [item("A", 0, 1, 10, "t"), item("B", 0.05, 1, 5, "t"), item("C", 0.2, 1, 0, "t")]
    assert ids(pair_items(before, after, 9)) == ["wholeB"]


def test_ground_that_one_pair_lacks_makes_another() -> None:
    before = [item("a", 0, 0.7, 0, "t"), item("b", 0.5, 1, 0, "t")]
    after = [item("c", 0, 1, 0, "t")]
    assert ids(pair_items(before, after, 9)) == ["ac", "bc"]
    assert ids(pair_items(before, after, 1)) == ["ac"]


def test_unknown_clouds_come_after_known_ones_and_equals_are_told_apart_by_id() -> None:
    after = [item("z", 0, 1)]
    assert ids(pair_items([item("a", 0, 1, inf), item("b", 0, 1, 19)], after, 9)) == ["bz"]
    assert ids(pair_items([item("b", 0, 1), item("a", 0, 1)], after, 9)) == ["az"]


def test_items_that_only_touch_or_are_none_make_no_pair() -> None:
    assert pair_items([item("a", 0, 1)], [item("b", 1, 2)], 9) == []
    assert pair_items([], [item("b", 1, 2)], 9) == []


def test_without_the_library_the_command_to_install_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pystac_client", None)
    with pytest.raises(UsageError, match=r"pip install 'terradelta\[stac\]'"):
        find_items(Search("https://catalog.org", "s2", BOX), JUNE)
