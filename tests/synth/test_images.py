from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terradelta.errors import UsageError
from terradelta.synth import SceneSource
from terradelta.synth.images import buildings_of, write_made_images

SIZE, STEP = 160, 0.5


def test_buildings_lie_where_the_plan_has_them() -> None:
    seed = 7
    mask = buildings_of(seed, SIZE, STEP)
    view = SceneSource(SIZE, seed=seed, resolution=STEP, events=())._view(None)
    places = [(b.x, b.y, b.reach) for b in view._survey.buildings]
    metres = (np.arange(SIZE) + 0.5 - SIZE / 2) * STEP
    away = [np.hypot(metres[None, :] - x, metres[:, None] - y) - reach for x, y, reach in places]
    assert not mask[np.min(away, 0) > STEP].any()
    inside = [d for d, (x, y, r) in zip(away, places, strict=True) if max(abs(x), abs(y)) + r < 40]
    assert inside
    assert all(mask[d < 0].any() for d in inside)
    # Nothing covers them: the whole scene, with its trees, is as high there.
    assert view._cropped(view._before.height, 0)[mask].min() > 1


def test_images_are_written_once_and_decided_by_their_number(tmp_path: Path) -> None:
    for folder, count in (("a", 1), ("b", 2)):
        write_made_images(tmp_path / folder, count, size=64, seed=3)
    for role in ("images", "labels"):
        names = sorted(path.name for path in (tmp_path / "b" / role).iterdir())
        assert names == ["3-00000.png", "3-00001.png"]
        first = tmp_path / "a" / role / names[0]
        assert first.read_bytes() == (tmp_path / "b" / role / names[0]).read_bytes()
    label = np.array(Image.open(tmp_path / "b" / "labels" / "3-00001.png"))
    assert label.shape == (64, 64)
    assert set(np.unique(label)) <= {0, 255}
    (tmp_path / "a" / "images" / "3-00000.png").unlink()
    write_made_images(tmp_path / "a", 1, size=64, seed=3)
    assert not (tmp_path / "a" / "images" / "3-00000.png").exists()
    with pytest.raises(UsageError, match="0 images"):
        write_made_images(tmp_path, 0)
