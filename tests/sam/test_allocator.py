import subprocess
import sys

import pytest

from terradelta.sam.allocator import give_back_freed_memory, keep_freed_memory

PROGRAM = "from terradelta.sam.allocator import keep_freed_memory; print(keep_freed_memory())"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_it_takes_on_linux() -> None:
    assert keep_freed_memory()


def test_what_the_environment_sets_is_left_alone() -> None:
    environment = {"MALLOC_MMAP_THRESHOLD_": "131072"}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_it_can_be_undone() -> None:
    assert give_back_freed_memory()
    assert keep_freed_memory()
