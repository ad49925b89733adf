from pathlib import Path

import pytest
import torch

from terradelta.errors import ModelError, UsageError
from terradelta.train.checkpoint import NAME, begin, load, save

from .tiny import settings


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    state = begin(settings(), 12)
    state.step, state.rows = 3, [{"step": 3, "loss": 0.5}]
    state.detector = {"weight": torch.arange(3.0)}
    save(state, tmp_path)
    found = load(tmp_path, begin(settings(workers=2), 12))
    assert (found.step, found.rows, found.pairs) == (3, state.rows, 12)
    assert torch.equal(found.detector["weight"], torch.arange(3.0))


def test_an_empty_folder_begins_and_leftovers_of_a_killed_process_go(tmp_path: Path) -> None:
    leftover = tmp_path / ".resume.12345.pt"
    leftover.write_bytes(b"half")
    mine = tmp_path / ".something.of.mine"
    mine.touch()
    start = begin(settings(), 12)
    assert load(tmp_path, start) is start
    assert not leftover.exists()
    assert mine.exists()


def test_another_training_is_refused_by_name(tmp_path: Path) -> None:
    save(begin(settings(), 12), tmp_path)
    with pytest.raises(UsageError, match=r"another training \(seed 0, now 1\)"):
        load(tmp_path, begin(settings(seed=1), 12))
    with pytest.raises(UsageError, match=r"\(pairs 12, now 13, augment.crop 16, now 32\)"):
        load(tmp_path, begin(settings(augment={**settings().augment.model_dump(), "crop": 32}), 13))


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_checkpoint_says_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        torch.save({"step": 3}, tmp_path / NAME)
    else:
        (tmp_path / NAME).write_bytes(content)
    with pytest.raises(ModelError, match="is damaged: delete it"):
        load(tmp_path, begin(settings(), 12))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"settings": Trap()}, tmp_path / NAME)
    with pytest.raises(ModelError):
        load(tmp_path, begin(settings(), 12))
    assert not (tmp_path / "sprung").exists()
