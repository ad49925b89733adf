"""One tree of errors: what a caller can catch, and what the command line turns into an exit code."""


class TerradeltaError(Exception):
    """Base of every error that terradelta raises on purpose.

    The message says what is wrong, with which file or value, and what to do. ``exit_code`` is what
    the command line returns: 1, the work failed; 2, the call was wrong.
    """

    exit_code = 1


class UsageError(TerradeltaError, ValueError):
    """An argument is out of its range, or two arguments contradict each other."""

    exit_code = 2


class InputError(TerradeltaError, ValueError):
    """An input image or raster is missing, unreadable or does not fit its partner."""


class ModelError(TerradeltaError):
    """Weights are unknown, absent, unreadable or do not fit the network."""


class QueryError(TerradeltaError, ValueError):
    """A click lies outside the image or on nothing that can be segmented."""


class OutputError(TerradeltaError, OSError):
    """An output cannot be written."""
