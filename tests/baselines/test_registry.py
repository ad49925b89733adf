import re
from importlib import import_module

import pytest

from terradelta.baselines import BASELINES, load_baseline
from terradelta.baselines.cva import Cva
from terradelta.errors import UsageError


@pytest.mark.parametrize("name", BASELINES)
def test_a_card_says_what_it_is_and_leads_to_it(name: str) -> None:
    card = BASELINES[name]
    assert card.title
    assert re.search(r"(19|20)\d\d|AnyChange", card.paper)
    module, _, kind = card.home.partition(":")
    model = getattr(import_module(module), kind)
    assert callable(model.detect)
    assert callable(model.describe)
    assert card.learns in (None, "pair", "folder")
    assert hasattr(model, "fit") == (card.learns == "folder")
    assert card.needs in (None, "features", "segmenter", "backbone")


@pytest.mark.parametrize("name", [name for name, card in BASELINES.items() if card.needs is None])
def test_an_answer_is_signed_with_the_name_that_loads_it(name: str) -> None:
    assert load_baseline(name).describe()["model"] == name


def test_a_baseline_is_loaded_by_name() -> None:
    assert isinstance(load_baseline("cva"), Cva)


@pytest.mark.parametrize("name", ["CVA", "sfa2", ""])
def test_an_unknown_baseline_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"unknown baseline {name!r}")) as raised:
        load_baseline(name)
    assert all(known in str(raised.value) for known in BASELINES)
