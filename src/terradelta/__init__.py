"""Find what changed between two images of the same place."""

__version__ = "0.1.0"
