"""``python -m terradelta``."""

from terradelta.cli import main

main()
