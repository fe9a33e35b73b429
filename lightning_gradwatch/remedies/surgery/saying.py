"""Names in sentences."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 6


def listed(names: Iterable[str]) -> str:
    """Some names, and how many more there are.

    Example:
        >>> listed(["a", "b"]), listed("abcdefgh")
        ('a, b', 'a, b, c, d, e, f and 2 more')
    """
    every = list(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more
