"""The command line. Heavy imports live inside the commands, so that ``--help`` is instant."""

from terradelta.cli.main import main

__all__ = ["main"]
