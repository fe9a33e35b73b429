"""Collects the situations that ``tests/fits`` tries: ``python docs/works_with.py`` prints them as JSON.

A test file there is a row of "does it work with ...?": its docstring's first line is the title, the ids of its
parametrised tests are what was tried.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Ids that say how a test is made, not what is tried: numbers, switches, the two packages (every row runs in both).
_MUTE = re.compile(r"-?[\d.e+-]+|True|False|None|lightning(\.pytorch|_fabric|\.fabric)?|pytorch_lightning")
_MUTE_ARGUMENTS = {"namespace", "pl"}


class Rows:
    """A pytest plugin that notes titles and ids."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, bool]] = {}  # title -> id -> whether CI leaves it to a longer run

    def pytest_collection_finish(self, session: Any) -> None:
        """All tests are known."""
        for item in session.items:
            if not hasattr(item, "module"):  # a doctest of a helper
                continue
            variants = self.found.setdefault(title(item.module), {})
            for one in _ids(item):
                variants[one] = variants.get(one, True) and item.get_closest_marker("slow") is not None


def title(module: Any) -> str:
    """The first line of a test file's docstring."""
    return (module.__doc__ or module.__name__).strip().splitlines()[0].rstrip(".")


def _ids(item: Any) -> list[str]:
    if not hasattr(item, "callspec"):
        return []
    pairs = zip(item.callspec.params, item.callspec._idlist, strict=False)
    told = item.callspec._idlist
    if len(item.callspec.params) == len(told):
        told = [one for argument, one in pairs if argument not in _MUTE_ARGUMENTS]
    return [one for one in told if not _MUTE.fullmatch(one)]


def rows() -> dict[str, dict[str, bool]]:
    """Title -> id -> whether CI leaves it to a longer run, as a fresh interpreter collects them."""
    command = [sys.executable, str(Path(__file__))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> int:
    """Print the rows."""
    import pytest

    plugin = Rows()
    with redirect_stdout(io.StringIO()) as said:
        status = pytest.main(["--collect-only", "-q", "-m", "", "tests/fits"], plugins=[plugin])
    if status != 0:
        print(said.getvalue(), file=sys.stderr)
        return int(status)
    print(json.dumps(plugin.found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
