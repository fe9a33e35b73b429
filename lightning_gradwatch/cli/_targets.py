"""What a user names on the command line: ``package.module:name``, looked up from where the command runs."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from lightning_gradwatch.errors import GradWatchError, WrongArgument

_OURS = str(Path(__file__).parents[1])
_LONGEST = 300  # characters of somebody else's error in our sentence


@contextmanager
def users_code() -> Iterator[None]:
    """Within, code of the user's own runs: it is found from here, prints to stderr, and fails in one sentence."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        with redirect_stdout(sys.stderr):  # stdout is for the report, which another program may read
            yield
    except GradWatchError:
        raise
    except (Exception, SystemExit) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        if place.filename.startswith(_OURS):  # our own fault keeps its traceback
            raise
        raise GradWatchError(f"the check ended: {told(error)} ({Path(place.filename).name}:{place.lineno})") from error
    finally:
        with suppress(ValueError):  # they may have taken it away themselves
            sys.path.remove(here)


def told(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def load(argument: str, target: str) -> Any:
    """What the target names; the argument is named in errors.

    Raises:
        WrongArgument: it is not written so, or there is no such module or name.

    Example:
        >>> load("TARGET", "math:pi")
        3.141592653589793
    """
    module, colon, path = target.partition(":")
    if not module or not colon or not path:
        raise WrongArgument(argument, "written as package.module:name", target)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):  # what it imports is missing
            raise
        raise WrongArgument(argument, "in a module that can be imported from here", target) from error
    for name in path.split("."):
        if not hasattr(found, name):
            known = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
            raise WrongArgument(argument, "a name that is there", target, known[:20])
        found = getattr(found, name)
    return found


def place_of(found: Any) -> tuple[str, int] | None:
    """File and line of a definition, the file relative to where the command runs; None: it has none."""
    definition = found if inspect.isroutine(found) or inspect.isclass(found) else type(found)
    try:
        file, (_, line) = Path(inspect.getfile(definition)), inspect.getsourcelines(definition)
    except (OSError, TypeError):
        return None
    here = Path.cwd()
    return (file.relative_to(here).as_posix() if file.is_relative_to(here) else file.as_uri()), max(1, line)
