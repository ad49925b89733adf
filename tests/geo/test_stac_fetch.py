import csv
import threading
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import shapely

from terradelta.errors import OutputError
from terradelta.geo.stac_fetch import fetch_pairs
from terradelta.geo.stac_search import Item
from terradelta.types import silent

pytest.importorskip("requests")


class Files(ThreadingHTTPServer):
    """Serves one image; ``asked`` are the paths of the requests. Some paths fail, each in its way."""

    def __init__(self, image: bytes) -> None:
        self.image, self.asked = image, list[str]()
        super().__init__(("127.0.0.1", 0), _Handler)

    def item(self, name: str, **changes: Any) -> Item:
        href = f"http://127.0.0.1:{self.server_port}/{name}"
        ground = shapely.box(0, 0, 1, 1)
        values = {"id": name, "place": "", "day": date(2020, 6, 12), "cloud": 0.0, "href": href}
        return Item(**{**values, "ground": ground, "file": PurePosixPath("s2", name), **changes})


class _Handler(BaseHTTPRequestHandler):
    server: Files

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        reply = getattr(self, self.path[1:].partition(".")[0], self.whole)
        reply()

    def whole(self) -> None:
        self.answer(200, self.server.image)

    def short(self) -> None:
        self.answer(200, self.server.image[:-9], {"Content-Length": str(len(self.server.image))})

    def untold(self) -> None:
        self.answer(200, self.server.image, {})

    def missing(self) -> None:
        self.answer(404, b"gone")

    def login(self) -> None:
        self.answer(200, b"<html>who are you?</html>")

    def virtual(self) -> None:
        source = b"<SimpleSource><SourceFilename>/etc/hosts</SourceFilename></SimpleSource>"
        band = b'<VRTRasterBand dataType="Byte" band="1">' + source + b"</VRTRasterBand>"
        self.answer(200, b'<VRTDataset rasterXSize="9" rasterYSize="9">' + band + b"</VRTDataset>")

    def elsewhere(self) -> None:
        self.answer(302, b"", {"Location": "file:///etc/hosts", "Content-Length": "0"})

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        told = {"Content-Length": str(len(body))} if headers is None else headers
        for name, value in told.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def files(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 60), np.uint8)
    image = write("image.tif", pixels).read_bytes()
    with Files(image) as server:
        threading.Thread(target=partial(server.serve_forever, 0.01), daemon=True).start()
        yield server
        server.shutdown()


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "pairs.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_image_is_fetched_once_and_not_again(files: Files, tmp_path: Path) -> None:
    a, b, c = (files.item(f"{name}.tif") for name in "abc")
    names = ["a.tif_2020-06-12_2020-06-12_1", "a.tif_2020-06-12_2020-06-12_2"]
    told: list[tuple[str, int, int]] = []
    for asked in (["/a.tif", "/b.tif", "/c.tif"], []):
        files.asked.clear()
        made = fetch_pairs([(a, b), (a, c)], tmp_path, lambda *step: told.append(step))
        assert made == (names, [])
        assert files.asked == asked
        assert table(tmp_path) == [
            {"before": "s2/a.tif", "after": "s2/b.tif", "name": names[0]},
            {"before": "s2/a.tif", "after": "s2/c.tif", "name": names[1]},
        ]
    assert [stage for stage, _, _ in told] == [f"image {n} of 3, MB" for n in (1, 2, 3)]
    assert {path.name for path in (tmp_path / "s2").iterdir()} == {"a.tif", "b.tif", "c.tif"}
    assert (tmp_path / "s2" / "a.tif").read_bytes() == files.image


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "the server answers 404 Not Found"),
        ("short", "not fetched whole"),
        ("login", "what came is no image"),
        ("virtual", "what came is no image"),
        ("elsewhere", "not fetched whole"),
    ],
)
def test_an_image_that_fails_leaves_its_pair_out_and_nothing_behind(
    files: Files, tmp_path: Path, name: str, reason: str
) -> None:
    good, bad = files.item("good.tif", place="MGRS-31UFU"), files.item(f"{name}.tif")
    names, failed = fetch_pairs([(bad, good), (good, good)], tmp_path / "out", silent)
    assert names == ["MGRS-31UFU_2020-06-12_2020-06-12"]
    assert [row["before"] for row in table(tmp_path / "out")] == ["s2/good.tif"]
    assert len(failed) == 1
    assert failed[0].startswith(f"{name}.tif: {reason}")
    assert "\n" not in failed[0]
    assert [path.name for path in (tmp_path / "out" / "s2").iterdir()] == ["good.tif"]


def test_without_any_pair_there_is_no_table(files: Files, tmp_path: Path) -> None:
    names, failed = fetch_pairs([(files.item("missing.tif"),) * 2], tmp_path / "out", silent)
    assert (names, len(failed)) == ([], 1)
    assert not (tmp_path / "out" / "pairs.csv").exists()


def test_a_size_that_is_not_told_is_no_error(files: Files, tmp_path: Path) -> None:
    item = files.item("untold.tif")
    assert fetch_pairs([(item, item)], tmp_path, silent)[1] == []
    assert (tmp_path / "s2" / "untold.tif").read_bytes() == files.image


def test_a_file_of_this_machine_is_copied(files: Files, tmp_path: Path) -> None:
    source = tmp_path / "an image.tif"
    source.write_bytes(files.image)
    item = files.item("copy.tif", href=source.as_uri())
    lost = files.item("lost.tif", href=(tmp_path / "none.tif").as_uri())
    names, failed = fetch_pairs([(item, item), (lost, item)], tmp_path / "out", silent)
    assert len(names) == 1
    assert failed == [
        f"lost.tif: {tmp_path / 'none.tif'} cannot be read: No such file or directory"
    ]
    assert (tmp_path / "out" / "s2" / "copy.tif").read_bytes() == files.image
    assert files.asked == []


def test_a_folder_that_cannot_be_written_ends_it(files: Files, tmp_path: Path) -> None:
    (tmp_path / "s2").write_text("a file")
    item = files.item("a.tif")
    with pytest.raises(OutputError, match=r"a\.tif"):
        fetch_pairs([(item, item)], tmp_path, silent)
