"""The command line in this process, and a made scene on disk."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from terradelta import make_scene
from terradelta.cli import main

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Answer(NamedTuple):
    """What a command ended with."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Runs ``terradelta`` with the given words."""
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)

    def command(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["terradelta", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = (ANSI.sub("", text) for text in capsys.readouterr())
        assert isinstance(stop.value.code, int)
        return Answer(stop.value.code, out, err)

    return command


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """before.tif and after.tif of 128 x 128 px, in a CRS; truth.tif lies beside them."""
    folder = tmp_path_factory.mktemp("scene")
    make_scene(128, seed=3).save(folder)
    return folder / "before.tif", folder / "after.tif"


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    """Two PNG files of noise, 64 x 40 px, that lie nowhere."""
    random = np.random.default_rng(0)
    paths = tmp_path / "a.png", tmp_path / "b.png"
    for path in paths:
        Image.fromarray(random.integers(0, 256, (40, 64, 3)).astype(np.uint8)).save(path)
    return paths
