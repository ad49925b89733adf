from huggingface_hub.utils import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from transformers.utils import logging

from terradelta.sam.quiet import quiet_libraries


def test_bars_are_those_of_downloads_alone_and_come_back() -> None:
    verbosity = logging.get_verbosity()
    assert logging.is_progress_bar_enabled()
    with quiet_libraries():
        assert logging.get_verbosity() == logging.ERROR
        assert not logging.is_progress_bar_enabled()
        assert not are_progress_bars_disabled()
    assert logging.get_verbosity() == verbosity
    assert logging.is_progress_bar_enabled()


def test_who_wants_no_bars_gets_none() -> None:
    logging.disable_progress_bar()
    try:
        with quiet_libraries():
            assert are_progress_bars_disabled()
        assert not logging.is_progress_bar_enabled()
    finally:
        logging.enable_progress_bar()


def test_who_wants_no_bars_of_downloads_alone_keeps_the_others() -> None:
    disable_progress_bars()
    try:
        with quiet_libraries():
            assert are_progress_bars_disabled()
        assert are_progress_bars_disabled()
        assert logging.is_progress_bar_enabled()
    finally:
        enable_progress_bars()
