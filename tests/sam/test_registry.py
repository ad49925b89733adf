import re
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest

from terradelta.errors import ModelError
from terradelta.sam.regions import RegionSegmenter
from terradelta.sam.registry import MODELS, ModelCard, load_segmenter, weights_folder
from terradelta.sam.sam import SamSegmenter

WITH_WEIGHTS = [name for name in MODELS if name != "regions"]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty weights folder, and neither a hub nor a cache of it."""
    monkeypatch.setenv("TERRADELTA_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "weights"


def test_the_three_released_networks_and_regions_are_offered() -> None:
    assert list(MODELS) == ["regions", "sam-vit-b", "sam-vit-l", "sam-vit-h"]


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_card_says_all_that_is_needed_to_get_the_weights(name: str) -> None:
    card = MODELS[name]
    assert card.summary
    assert card.licence == "Apache-2.0"
    assert card.angle == SamSegmenter.defaults.angle == 25
    assert card.image_size == 1024
    assert re.fullmatch(r"facebook/sam-vit-\w+", str(card.repository))
    assert re.fullmatch(r"[0-9a-f]{40}", str(card.revision))
    assert re.fullmatch(r"https://dl\.fbaipublicfiles\.com/.+\.pth", str(card.checkpoint_url))
    assert card.megabytes > 100


def test_no_two_networks_share_a_source() -> None:
    for field in ("repository", "revision", "checkpoint_url", "megabytes"):
        assert len({getattr(MODELS[name], field) for name in WITH_WEIGHTS}) == len(WITH_WEIGHTS)


def test_regions_has_a_licence_and_no_weights() -> None:
    card = MODELS["regions"]
    assert card.licence == "Apache-2.0"
    assert card.angle == RegionSegmenter.defaults.angle
    assert (card.repository, card.revision, card.checkpoint_url) == (None, None, None)
    assert (card.image_size, card.checkpoint_name, card.megabytes) == (None, None, 0)


def test_a_checkpoint_is_named_as_in_its_address() -> None:
    card = ModelCard("a", "MIT", 25.0, checkpoint_url="https://example.org/folder/net.pth")
    assert card.checkpoint_name == "net.pth"


def test_regions_is_what_loads_unless_told_otherwise() -> None:
    assert isinstance(load_segmenter(), RegionSegmenter)
    assert isinstance(load_segmenter("regions"), RegionSegmenter)


@pytest.mark.parametrize("name", ["sam-vit-x", "REGIONS", "nowhere/sam.pth"])
def test_an_unknown_model_is_a_model_error(name: str) -> None:
    with pytest.raises(ModelError, match=re.escape(name)):
        load_segmenter(name)


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelError) as raised:
        load_segmenter("sam-vit-x")
    assert all(name in str(raised.value) for name in ("sam-vit-x", *MODELS))


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_absent_weights_say_what_to_fetch_from_where_to_where(name: str, nowhere: Path) -> None:
    card = MODELS[name]
    with pytest.raises(ModelError) as raised:
        load_segmenter(name)
    text = str(raised.value)
    assert f"the weights of {name} ({card.megabytes} MB, Apache-2.0)" in text
    assert f"Download {card.checkpoint_url} to {nowhere / str(card.checkpoint_name)}" in text
    assert f"hf download {card.repository} --revision {card.revision}" in text
    assert not nowhere.exists()


def test_the_weights_folder_is_in_the_cache_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("TERRADELTA_WEIGHTS", raising=False)
    assert weights_folder() == tmp_path / ".cache" / "terradelta"
    monkeypatch.setenv("TERRADELTA_WEIGHTS", "~/weights")
    assert weights_folder() == tmp_path / "weights"


def test_listing_the_models_needs_no_torch() -> None:
    code = "import sys, terradelta; terradelta.MODELS; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


def test_a_name_too_long_for_a_file_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="unknown model"):
        load_segmenter("x" * 300)
