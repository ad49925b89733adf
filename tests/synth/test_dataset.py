from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from terradelta.data import open_dataset
from terradelta.errors import UsageError
from terradelta.synth.dataset import draw_acquisition, write_made_dataset


def test_a_made_dataset_opens_as_one_and_grows_from_a_smaller_one(tmp_path: Path) -> None:
    write_made_dataset(tmp_path / "small", 1, size=48, seed=3)
    path = tmp_path / "small" / "label" / "3-00000.png"
    stamp = path.stat().st_mtime_ns
    write_made_dataset(tmp_path / "small", 2, size=48, seed=3)
    assert path.stat().st_mtime_ns == stamp  # what is there stays
    write_made_dataset(tmp_path / "large", 2, size=48, seed=3)
    for file in sorted((tmp_path / "small").rglob("*.png")):
        other = tmp_path / "large" / file.relative_to(tmp_path / "small")
        assert file.read_bytes() == other.read_bytes()
    dataset = open_dataset(tmp_path / "large")
    assert [sample.name for sample in dataset.samples] == ["3-00000", "3-00001"]
    assert dataset.samples[0].pair().before.shape == (48, 48, 3)
    assert set(np.unique(np.asarray(Image.open(path)))) <= {0, 255}
    images = [sample.pair().before for sample in dataset.samples]
    assert not np.array_equal(*images)


def test_the_conditions_differ_from_photograph_to_photograph() -> None:
    random = np.random.default_rng(0)
    shots = [draw_acquisition(random) for _ in range(50)]
    assert len({shot.sun_azimuth for shot in shots}) == 50
    assert max(abs(s) for shot in shots for s in shot.shift) <= 0.5


def test_nothing_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 pairs"):
        write_made_dataset(tmp_path, 0)
