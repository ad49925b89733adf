import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from terradelta import detect_scene
from terradelta.errors import InputError, UsageError
from terradelta.geo.scene import ScenePair
from terradelta.run import SceneResult
from terradelta.run import plan as plan_module

from .conftest import TILES
from .same import assert_same_results

ray = pytest.importorskip("ray")
Paths = tuple[Path, Path]


class KilledOnce(ScenePair):
    """Kills the worker that reads it, once, some windows into the scene."""

    marker: Path
    windows = 0

    def read(self, *window: int) -> Any:
        self.windows += 1
        if "ray::" in _title() and self.windows > 2 and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().read(*window)


class Unreadable(ScenePair):
    def read(self, *window: int) -> Any:
        if "ray::" in _title():
            raise InputError("after.tif cannot be read in the window (1, 2, 3, 4)")
        return super().read(*window)


def _title() -> str:
    return Path("/proc/self/cmdline").read_text()


@pytest.fixture(scope="module")
def cluster() -> Any:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_with_a_worker_killed_midway_the_outputs_are_those_of_one_process(
    cluster: Any, pair: Paths, whole: SceneResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KilledOnce, "marker", tmp_path / "killed", raising=False)
    monkeypatch.setattr(plan_module, "ScenePair", KilledOnce)
    detect_scene(*pair, tmp_path / "out", ray="local", **TILES)
    assert (tmp_path / "killed").exists()
    assert_same_results(tmp_path / "out", whole.files[0].parent)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_an_error_of_a_worker_is_the_error_of_the_run(
    cluster: Any, pair: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "ScenePair", Unreadable)
    with pytest.raises(
        InputError, match=r"^after.tif cannot be read in the window \(1, 2, 3, 4\)$"
    ):
        detect_scene(*pair, tmp_path / "out", ray="local", **TILES)


@pytest.mark.parametrize("address", ["local:0", "local:two"])
def test_a_malformed_number_of_processes_is_refused(
    pair: Paths, tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UsageError, match="must be a whole number"):
        detect_scene(*pair, tmp_path / "out", ray=address, **TILES)
