"""``python -m lightning_gradwatch``: the same as the ``gradwatch`` command."""

import sys

from lightning_gradwatch.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
