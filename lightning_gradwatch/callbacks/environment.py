"""Watching without touching code: ``GRADWATCH=1`` in the environment gives every Trainer a watch.

Lightning asks this file for callbacks whenever any Trainer is made (``pyproject.toml`` names it to both packages), also
for people who never heard of the variable: it imports nothing before the variable says yes.
"""

from __future__ import annotations

import functools
import logging
import os
from typing import Any

VARIABLE = "GRADWATCH"
_WORDS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def callbacks() -> list[Any]:
    """What Lightning adds to a new Trainer: nothing, or a watch that stands back where the fit has one of its own.

    Example:
        >>> callbacks()  # GRADWATCH is not set
        []
    """
    if not _is_on(os.environ.get(VARIABLE, "")):
        return []
    try:
        from lightning_gradwatch.callbacks.standby import GradWatchFromEnvironment
    except Exception as error:  # a variable of the shell must not be what kills a fit
        _say(f"GradWatch stays off, although {VARIABLE} is set: {type(error).__name__}: {error}")
        return []
    return [GradWatchFromEnvironment()]


@functools.cache  # a program that makes a thousand Trainers hears of a wrong value once
def _is_on(value: str) -> bool:
    word = value.strip().lower()
    if word and word not in _WORDS:
        yes, no = (", ".join(word for word, on in _WORDS.items() if on is wanted) for wanted in (True, False))
        _say(
            f"GradWatch stays off: `{VARIABLE}` in the environment must be {yes} or else {no} or empty, got {value!r}."
        )
    return _WORDS.get(word, False)


def _say(sentence: str) -> None:
    # Logged, not warned: under `python -W error` a warning would end the program.
    logging.getLogger("lightning_gradwatch").warning(sentence)
