"""Silence for libraries that warn at length of what is raised or logged here in one line."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils.tqdm import (
    are_progress_bars_disabled,
    disable_progress_bars,
    enable_progress_bars,
)
from transformers.utils import logging as transformers_logging


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Inside, transformers and the hub's client log errors alone, and only downloads have a bar."""
    levels = [library.get_verbosity() for library in (hub_logging, transformers_logging)]
    hub_logging.set_verbosity(logging.ERROR)
    transformers_logging.set_verbosity(logging.ERROR)
    bars = transformers_logging.is_progress_bar_enabled()
    downloads = not are_progress_bars_disabled()
    # Those of the hub go with those of transformers: a bar over files that are there tells nothing,
    # one over gigabytes to come does.
    transformers_logging.disable_progress_bar()
    if downloads:
        enable_progress_bars()
    try:
        yield
    finally:
        hub_logging.set_verbosity(levels[0])
        transformers_logging.set_verbosity(levels[1])
        if bars:
            transformers_logging.enable_progress_bar()
        if not downloads:
            disable_progress_bars()
