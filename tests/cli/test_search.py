"""The command on a catalog that a server on this machine gives out over HTTP."""

import csv
import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

pytest.importorskip("pystac_client")

Run = Callable[..., Any]
Box = tuple[float, float, float, float]

HOME: Box = (5.0, 52.0, 5.1, 52.1)
NEXT: Box = (5.1, 52.0, 5.2, 52.1)
PERIODS = ("--before", "2020-06-01/2020-06-30", "--after", "2023-06-01/2023-06-30")
CORE = "https://api.stacspec.org/v1.0.0/core"
ITEM_SEARCH = "https://api.stacspec.org/v1.0.0/item-search"


class Catalog(ThreadingHTTPServer):
    """A STAC API with the collection s2, two items a page, beside the files of its assets."""

    def __init__(self) -> None:
        self.features: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.conforms_to = [CORE, ITEM_SEARCH]
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def add(
        self, identifier: str, day: str, file: bytes, *, box: Box = HOME, cloud: float = 5,
        tile: str = "31UFU", asset: str = "visual", href: str | None = None,
    ) -> None:  # fmt: skip
        west, south, east, north = box
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        path = f"/files/{len(self.features)}.tif"
        self.files[path] = file
        self.features.append(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": identifier,
                "collection": "s2",
                "bbox": list(box),
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "properties": {
                    "datetime": f"{day}T10:40:31Z",
                    "eo:cloud_cover": cloud,
                    "grid:code": f"MGRS-{tile}",
                },
                "links": [],
                "assets": {asset: {"href": href or self.url + path}},
            }
        )

    def downloads(self) -> list[str]:
        """The files that were asked for since the last call, sorted."""
        asked = sorted(path for path in self.asked if path.startswith("/files/"))
        self.asked.clear()
        return asked


class _Handler(BaseHTTPRequestHandler):
    server: Catalog

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.asked.append(url.path)
        if url.path in self.server.files:
            self.answer(self.server.files[url.path])
        elif url.path == "/search":
            self.answer(self.found({key: text for key, (text,) in parse_qs(url.query).items()}))
        elif url.path == "/":
            self.answer(self.landing())
        else:
            self.answer(b"<html>\n<h1>no such page</h1>\n</html>", 404)

    def landing(self) -> bytes:
        links = [("root", "/"), ("self", "/"), ("search", "/search")]
        return json.dumps(
            {
                "type": "Catalog",
                "stac_version": "1.0.0",
                "id": "test",
                "description": "Made for a test.",
                "conformsTo": self.server.conforms_to,
                "links": [{"rel": rel, "href": self.server.url + path} for rel, path in links],
            }
        ).encode()

    def found(self, asked: dict[str, str]) -> bytes:
        west, south, east, north = map(float, asked["bbox"].split(","))
        first, last = asked["datetime"].split("/")
        hits = [
            feature
            for feature in self.server.features
            if feature["collection"] in asked["collections"].split(",")
            and first <= feature["properties"]["datetime"] <= last
            and feature["bbox"][0] <= east and feature["bbox"][2] >= west
            and feature["bbox"][1] <= north and feature["bbox"][3] >= south
        ]  # fmt: skip
        start = int(asked.get("token", 0))
        links = []
        if start + 2 < len(hits):
            query = urlencode({**asked, "token": start + 2})
            links = [{"rel": "next", "href": f"{self.server.url}/search?{query}"}]
        page = {"type": "FeatureCollection", "features": hits[start : start + 2], "links": links}
        return json.dumps(page).encode()

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + 9 * body.startswith(b"cut")))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Catalog() as server:
        threading.Thread(target=partial(server.serve_forever, 0.01), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def images(pair: tuple[Path, Path]) -> tuple[bytes, bytes]:
    return pair[0].read_bytes(), pair[1].read_bytes()


@pytest.fixture
def search(run: Run, catalog: Catalog, tmp_path: Path) -> Run:
    """The command on the catalog, into the folder out."""

    def command(*words: object, bbox: str = "5,52,5.2,52.1") -> Any:
        into = ("--collection", "s2", "--bbox", bbox, *PERIODS, "-o", tmp_path / "out")
        return run("search", catalog.url, *into, *words)

    return command


def table(folder: Path) -> list[tuple[str, ...]]:
    with (folder / "pairs.csv").open(newline="") as file:
        return [tuple(row) for row in csv.reader(file)]


def test_pairs_are_fetched_and_detected(
    run: Run, search: Run, catalog: Catalog, images: tuple[bytes, bytes], tmp_path: Path
) -> None:
    before, after = images
    catalog.add("a-cloudy", "2020-06-03", before, cloud=80)
    catalog.add("a-less", "2020-06-08", before, cloud=12)
    catalog.add("a-clear", "2020-06-12", before, cloud=1)
    catalog.add("b", "2020-06-12", before, box=NEXT, tile="31UGU")
    catalog.add("late", "2021-06-12", before)
    catalog.add("A", "2023-06-07", after)
    catalog.add("B", "2023-06-07", after, box=NEXT, tile="31UGU")
    catalog.add("far", "2023-06-07", after, box=(7, 52, 8, 53))
    names = ["MGRS-31UFU_2020-06-12_2023-06-07", "MGRS-31UGU_2020-06-12_2023-06-07"]
    out = tmp_path / "out"

    answer = search()
    assert answer == (
        0,
        f"{names[0]}\n{names[1]}\n2 of 2 pairs, see {out / 'pairs.csv'}\n",
        "note: left out for before: 1 over 20 % cloud\n",
    )
    assert catalog.downloads() == ["/files/2.tif", "/files/3.tif", "/files/5.tif", "/files/6.tif"]
    assert table(out) == [
        ("before", "after", "name"),
        ("s2/a-clear-visual.tif", "s2/A-visual.tif", names[0]),
        ("s2/b-visual.tif", "s2/B-visual.tif", names[1]),
    ]
    assert (out / "s2" / "a-clear-visual.tif").read_bytes() == before
    assert (out / "s2" / "A-visual.tif").read_bytes() == after

    assert search() == answer
    assert catalog.downloads() == []
    told = json.loads(search("--json").out)
    assert told == {"pairs": str(out / "pairs.csv"), "names": names, "failed": []}

    (out / "s2" / "B-visual.tif").unlink()
    assert search() == answer
    assert catalog.downloads() == ["/files/6.tif"]

    quick = ("--points-per-side", "8")
    found = run("detect", "--pairs", out / "pairs.csv", "-o", tmp_path / "changes", *quick)
    assert found.code == 0
    for name in names:
        assert (tmp_path / "changes" / name / "changes.gpkg").exists()


def test_the_rest_is_fetched_when_some_cannot_be(
    search: Run, catalog: Catalog, images: tuple[bytes, bytes], tmp_path: Path
) -> None:
    before, after = images
    boxes = [(5 + k / 20, 52.0, 5.05 + k / 20, 52.1) for k in range(4)]
    for k, box in enumerate(boxes):
        catalog.add(f"b{k}", "2020-06-12", before, box=box, tile=str(k))
        href = catalog.url + "/gone.tif" if k == 1 else None
        file = b"cut" if k == 2 else after
        catalog.add(f"a{k}", "2023-06-12", file, box=box, tile=str(k), href=href)
    answer = search()
    assert answer.code == 0
    gone, cut = answer.err.splitlines()
    assert gone == "failed: a1-visual.tif: the server answers 404 Not Found"
    assert cut.startswith("failed: a2-visual.tif: not fetched whole: ")
    assert [row[0] for row in table(tmp_path / "out")[1:]] == [
        "s2/b0-visual.tif",
        "s2/b3-visual.tif",
    ]
    assert answer.out.endswith(f"2 of 4 pairs, see {tmp_path / 'out' / 'pairs.csv'}\n")
    names = {path.name for path in (tmp_path / "out" / "s2").iterdir()}
    assert names == {f"{name}-visual.tif" for name in ("a0", "a3", "b0", "b1", "b2", "b3")}


def test_none_left_is_exit_code_1(
    search: Run, catalog: Catalog, images: tuple[bytes, bytes], tmp_path: Path
) -> None:
    catalog.add("b", "2020-06-12", images[0], href=catalog.url + "/gone.tif")
    catalog.add("a", "2023-06-12", images[1])
    code, out, err = search()
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "error: no pair could be fetched"
    assert not (tmp_path / "out" / "pairs.csv").exists()


def test_hostile_names_stay_in_the_folder(
    search: Run, catalog: Catalog, images: tuple[bytes, bytes], tmp_path: Path
) -> None:
    catalog.add("../../x", "2020-06-12", images[0], tile="../../y")
    catalog.add("/etc/x\n", "2023-06-12", images[1], tile="../../y")
    assert search().code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"s2", "pairs.csv"}
    files = {path.name for path in (tmp_path / "out" / "s2").iterdir()}
    _, (before, after, name) = table(tmp_path / "out")
    assert files == {before.removeprefix("s2/"), after.removeprefix("s2/")}
    assert Path(name).name == name


def test_an_item_without_the_asset_gives_way_to_another(
    search: Run, catalog: Catalog, images: tuple[bytes, bytes], tmp_path: Path
) -> None:
    catalog.add("bare", "2020-06-10", images[0], asset="red", cloud=0)
    catalog.add("b", "2020-06-12", images[0], cloud=9)
    catalog.add("a", "2023-06-12", images[1])
    answer = search()
    assert (answer.code, answer.err) == (
        0,
        "note: left out for before: 1 without visual, but with red\n",
    )
    assert table(tmp_path / "out")[1][0] == "s2/b-visual.tif"
    answer = search("--asset", "red")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.splitlines()[-1] == "error: no item for after: 1 without red, but with visual"


def test_the_limit_is_on_pairs_and_the_largest_come_first(
    search: Run, catalog: Catalog, images: tuple[bytes, bytes], tmp_path: Path
) -> None:
    small = (5.0, 52.0, 5.05, 52.1)
    for day, image in zip(("2020-06-12", "2023-06-12"), images, strict=True):
        catalog.add(f"{day}-small", day, image, box=small, tile="small")
        catalog.add(f"{day}-large", day, image, box=NEXT, tile="large")
    answer = search("--limit", "1")
    assert answer.err == "note: there are more pairs than --limit 1\n"
    assert [row[2] for row in table(tmp_path / "out")[1:]] == ["MGRS-large_2020-06-12_2023-06-12"]
    assert search("--limit", "2").err == ""


def test_files_of_this_machine(
    search: Run, catalog: Catalog, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    for name, day, path in zip("ba", ("2020-06-12", "2023-06-12"), pair, strict=True):
        shutil.copy(path, tmp_path / f"{name} 1.tif")
        catalog.add(name, day, b"", href=(tmp_path / f"{name} 1.tif").as_uri())
    assert search().code == 0
    assert (tmp_path / "out" / "s2" / "a-visual.tif").read_bytes() == pair[1].read_bytes()


def test_nothing_found_is_told(search: Run, catalog: Catalog, tmp_path: Path) -> None:
    nothing = "the API has none there in these days"
    assert search() == (1, "", f"error: no item for before: {nothing}\n")
    catalog.add("b", "2020-06-12", b"")
    assert search() == (1, "", f"error: no item for after: {nothing}\n")
    catalog.add("a", "2023-06-12", b"", tile="31UFV")
    told = "no item of before shows the same place as one of after"
    assert search() == (1, "", f"error: {told}\n")
    assert catalog.downloads() == []


def test_too_many_items_are_told(
    search: Run, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("terradelta.geo.stac_search.MOST_ITEMS", 2)
    for number in range(2):
        catalog.add(f"b{number}", "2020-06-12", b"")
    assert "no item for after" in search().err
    catalog.add("b2", "2020-06-12", b"")
    assert "over 2 items from 2020-06-01 to 2020-06-30" in search().err


def test_no_network_is_one_line(run: Run, catalog: Catalog, tmp_path: Path) -> None:
    url = catalog.url
    catalog.shutdown()
    catalog.server_close()
    into = ("--collection", "s2", "--bbox", "5,52,6,53", *PERIODS, "-o", tmp_path / "out")
    answer = run("search", url, *into)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"error: {url} does not answer: ")
    assert "refused" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    "page",
    [
        None,
        b"",
        b"\xff\xfe",
        b"<html>\nhello\n</html>",
        b"[1]",
        b'{"type": "FeatureCollection", "features": []}',
        b'{"type": "Catalog", "stac_version": "1.0.0"}',
    ],
)
def test_what_is_no_api_is_one_line(
    run: Run, catalog: Catalog, tmp_path: Path, page: bytes | None
) -> None:
    if page is not None:
        catalog.files["/api"] = page
    into = ("--collection", "s2", "--bbox", "5,52,6,53", *PERIODS, "-o", tmp_path / "out")
    answer = run("search", f"{catalog.url}/api", *into)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"error: {catalog.url}/api ")
    assert answer.err.count("\n") == 1


def test_a_catalog_that_cannot_be_searched_is_one_line(search: Run, catalog: Catalog) -> None:
    catalog.conforms_to = [CORE]
    answer = search()
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"error: {catalog.url} is no STAC API that can be searched: ")
    assert answer.err.count("\n") == 1


def test_without_the_library_the_command_to_install_it_is_told(
    search: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pystac_client", None)
    told = "a STAC search needs pystac-client: pip install 'terradelta[stac]'"
    assert search() == (2, "", f"error: {told}\n")


@pytest.mark.parametrize(
    "bbox",
    ["5,52,6", "a,b,c,d", "5,53,6,52", "5,52,5,53", "5,52,6,91", "nan,52,6,53", "-181,0,0,1"],
)
def test_a_box_that_is_none_is_named(search: Run, catalog: Catalog, bbox: str) -> None:
    answer = search(bbox=bbox)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: --bbox {bbox}: give west, south, east, north")
    assert catalog.asked == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--before", "2020-06"], "--before 2020-06: give the first and the last day"),
        (["--before", "2020-06-02/2020-06-01"], "--before 2020-06-02/2020-06-01: give the first"),
        (["--after", "2023-13-01/2023-13-02"], "--after 2023-13-01/2023-13-02: give the first"),
        (["--after", "2020-06-30/2020-07-30"], "has to end before --after"),
        (["--limit", "0"], "--limit"),
        (["--cloud", "101"], "--cloud"),
    ],
)
def test_wrong_use_is_exit_code_2_and_named(
    search: Run, catalog: Catalog, words: list[str], named: str
) -> None:
    answer = search(*words)
    assert (answer.code, answer.out) == (2, "")
    assert named in answer.err
    assert catalog.asked == []


def test_a_box_west_of_greenwich_is_no_option(search: Run, catalog: Catalog) -> None:
    assert "no item for before" in search(bbox="-5,52,-4,53").err
