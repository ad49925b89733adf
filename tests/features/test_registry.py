import re
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest

from terradelta import load_segmenter
from terradelta.errors import ModelError, UsageError
from terradelta.features import FEATURES, load_features
from terradelta.features.dinov2 import Dinov2Features
from terradelta.features.keys import SamKeyFeatures
from terradelta.sam.sam import SamSegmenter

WITH_WEIGHTS = [name for name in FEATURES if name != "sam-key"]


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty weights folder, and neither a hub nor a cache of it."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("TERRADELTA_WEIGHTS", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return folder


def test_four_sizes_of_dinov2_and_the_keys_of_sam_are_offered() -> None:
    assert list(FEATURES) == ["dinov2-s", "dinov2-b", "dinov2-l", "dinov2-g", "sam-key"]


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_a_card_says_all_that_is_needed_to_get_the_weights(name: str) -> None:
    card = FEATURES[name]
    assert card.licence == "Apache-2.0"
    assert card.summary.startswith("DINOv2, ViT-")
    assert re.fullmatch(r"facebook/dinov2-(small|base|large|giant)", str(card.repository))
    assert re.fullmatch(r"[0-9a-f]{40}", str(card.revision))
    assert card.megabytes > 50


def test_no_two_networks_share_a_source() -> None:
    for field in ("repository", "revision", "megabytes"):
        assert len({getattr(FEATURES[name], field) for name in WITH_WEIGHTS}) == len(WITH_WEIGHTS)


def test_keys_of_sam_need_no_weights_of_their_own() -> None:
    card = FEATURES["sam-key"]
    assert (card.licence, card.repository, card.revision, card.megabytes) == (
        "Apache-2.0",
        None,
        None,
        0,
    )


def test_a_folder_is_loaded_by_its_path(dinov2_folder: Path) -> None:
    features = load_features(str(dinov2_folder))
    assert isinstance(features, Dinov2Features)
    assert (features.name, features.long_side) == (str(dinov2_folder), None)


def test_a_folder_among_the_weights_is_found_by_name(dinov2_folder: Path, weights: Path) -> None:
    shutil.copytree(dinov2_folder, weights / "dinov2-s")
    features = load_features("dinov2-s")
    assert isinstance(features, Dinov2Features)
    assert (features.name, features.long_side) == ("dinov2-s", None)


def test_a_number_after_a_name_is_the_long_side(dinov2_folder: Path, weights: Path) -> None:
    shutil.copytree(dinov2_folder, weights / "dinov2-s")
    features = load_features("dinov2-s:140")
    assert isinstance(features, Dinov2Features)
    assert (features.name, features.long_side) == ("dinov2-s:140", 140)


@pytest.mark.parametrize(("name", "layer"), [("sam-key", 2), ("sam-key:1", 1), ("sam-key:2", 2)])
def test_a_number_after_sam_key_is_the_layer(sam: SamSegmenter, name: str, layer: int) -> None:
    features = load_features(name, segmenter=sam)
    assert isinstance(features, SamKeyFeatures)
    assert features.name == f"sam-key:{layer}"


@pytest.mark.parametrize("name", ["sam-key:last", "sam-key:-1", "dinov2-b:5.5", "sam-key:²"])
def test_what_follows_the_colon_must_be_a_number(sam: SamSegmenter, name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(name))):
        load_features(name, segmenter=sam)


def test_keys_of_sam_without_a_sam_are_refused() -> None:
    with pytest.raises(UsageError, match="'sam-key' are those of a SAM, got no segmenter"):
        load_features("sam-key")
    with pytest.raises(UsageError, match="got 'regions': choose a SAM"):
        load_features("sam-key", segmenter=load_segmenter("regions"))


@pytest.mark.parametrize(
    "name", ["dinov2-xl", "DINOV2-B", "nowhere/dinov2", "nowhere:5", "x" * 300]
)
def test_unknown_features_are_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(ModelError) as raised:
        load_features(name)
    assert all(word in str(raised.value) for word in (name, *FEATURES))


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_absent_weights_say_what_to_fetch_from_where_to_where(name: str, weights: Path) -> None:
    card = FEATURES[name]
    with pytest.raises(ModelError) as raised:
        load_features(f"{name}:518")
    text = str(raised.value)
    assert f"the weights of {name} ({card.megabytes} MB, Apache-2.0)" in text
    assert f"hf download {card.repository} --revision {card.revision} --local-dir {name}" in text
    assert f"copy the folder to {weights / name}" in text
    assert not weights.exists()


def test_listing_the_features_needs_no_torch() -> None:
    code = "import sys, terradelta.features as f; f.FEATURES; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
