from pathlib import Path
from typing import Any

import pytest

from terradelta.errors import InputError, UsageError
from terradelta.train.settings import load_settings, recipes, settings_of

GOOD: dict[str, Any] = {"detector": "fc-ef", "steps": 10}


def test_every_recipe_is_valid() -> None:
    assert recipes() == [
        "levir-oracle",
        "quick",
        "s2looking-changestar-mitb1",
        "s2looking-changestar-r18",
        "s2looking-oracle",
        "second-changestar-r50",
        "second-oracle",
        "star-changestar-r18",
        "xview2-oracle",
    ]
    for name in recipes():
        assert load_settings(name).steps > 0


def test_table_6_is_trained_as_appendix_c2_says() -> None:
    settings = load_settings("second-changestar-r50")
    assert (settings.detector, settings.steps, settings.batch) == (
        "changestar-1x256-r50",
        20_000,
        16,
    )
    optimiser = settings.optimiser
    assert (optimiser.name, optimiser.momentum, optimiser.weight_decay) == ("sgd", 0.9, 1e-3)
    assert (settings.loss.terms, settings.loss.smoothing) == (("bce",), 0.4)
    assert settings.augment.crop == 256
    assert settings.schedule.power == 0.9


@pytest.mark.parametrize(
    ("name", "pairs", "crop"),
    [
        ("levir-oracle", 445, 512),
        ("s2looking-oracle", 3500, 512),
        ("xview2-oracle", 2799, 256),
        ("second-oracle", 2968, 256),
    ],
)
def test_oracles_are_trained_as_appendix_c1_says(name: str, pairs: int, crop: int) -> None:
    settings = load_settings(name)
    assert (settings.detector, settings.segmenter) == ("oracle", "sam-vit-b")
    assert settings.lora is not None
    assert settings.lora.model_dump() == {"rank": 32, "alpha": 320, "dropout": 0.1}
    assert 0 <= settings.steps * settings.batch - 200 * pairs < settings.batch == 16
    optimiser = settings.optimiser
    assert (optimiser.name, optimiser.learning_rate, optimiser.weight_decay) == (
        "adamw",
        6e-5,
        0.01,
    )
    assert (settings.loss.terms, settings.loss.smoothing) == (("bce", "dice"), 0)
    assert (settings.schedule.power, settings.augment.crop) == (0.9, crop)


def test_a_file_is_read_and_single_values_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('detector = "fc-ef"\nsteps = 1_000\n[augment]\ncrop = 64\n')
    settings = load_settings(path, steps=5, detector=None)
    assert (settings.detector, settings.steps, settings.augment.crop) == ("fc-ef", 5, 64)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"stepz": 1}, "stepz is not a setting: there are detector, classes, "),
        ({"loss": {"smooth": 0.4}}, "loss.smooth is not a setting: there are terms, smoothing"),
        ({"loss": {"terms": ["focal"]}}, "loss.terms.0 is 'focal'"),
        ({"loss": {"terms": []}}, "loss.terms is []"),
        ({"loss": {"smoothing": 1.0}}, "loss.smoothing is 1.0"),
        ({"loss": {"terms": ["own", "bce"]}}, "own stands alone"),
        ({"loss": {"terms": ["cross-entropy"]}}, "cross-entropy needs classes of 2 or more"),
        ({"classes": 3}, "bce and dice need classes = 1"),
        ({"optimiser": {"learning_rate": float("nan")}}, "optimiser.learning_rate is nan"),
        ({"augment": {"scale": [2, 1]}}, "the smaller number comes first"),
        ({"schedule": {"warmup": 10}}, "schedule.warmup must be below the 10 steps"),
        ({"detector": "oracle"}, "segmenter is missing: the oracle needs a SAM"),
        (
            {"segmenter": "sam-vit-b"},
            "segmenter and lora are for the detector oracle, not for fc-ef",
        ),
        ({"lora": {"r": 8}}, "lora.r is not a setting: there are rank, alpha, dropout"),
        (
            {"detector": "oracle", "segmenter": "x", "loss": {"terms": ["own"]}},
            "the oracle learns by bce and dice",
        ),
        ({"labels": "objects"}, "objects are for a changestar"),
        ({"detector": "yolo"}, "unknown detector 'yolo': choose from fc-ef, "),
        ({"steps": 0}, "steps is 0"),
        ({"precision": "int4"}, "precision is 'int4'"),
    ],
)
def test_what_is_wrong_is_named(table: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as raised:
        settings_of({**GOOD, **table}, "mine.toml")
    assert str(raised.value).startswith("mine.toml: ")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(UsageError, match="steps is missing"):
        settings_of({"detector": "fc-ef"})


def test_unknown_recipes_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown recipe 'quik': choose from .*quick, "):
        load_settings("quik")
    with pytest.raises(InputError, match="cannot read the recipe"):
        load_settings(tmp_path / "none.toml")
    path = tmp_path / "broken.toml"
    path.write_bytes(b"steps = \xff")
    with pytest.raises(InputError, match="is not TOML"):
        load_settings(path)
