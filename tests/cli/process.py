"""The command in a Python of its own, as a shell runs it."""

import os
import subprocess
import sys
from pathlib import Path

from lightning_gradwatch import cli


def python(*args, stdout=subprocess.PIPE, unbuffered="", cwd=None):
    """Runs Python, which finds the same package as this one."""
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2]), "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, *args]
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, cwd=cwd, check=False
    )
