"""What a checkpoint carries of a watch: under which key, in which format, and how it is found again."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records.codec import FORMAT, dumps, loads

_KIND = "GradWatch{"
# Bytes of text: the state of a thousand layers has a million of them.  More is no state of ours.
_LONGEST = 1 << 28


def key(name: str, place: int = 0, every_n_steps: int | None = None) -> str:
    """The name of a watch's state.

    Args:
        name: of the watch.
        place: how many watches of that name stand before it in its trainer.
        every_n_steps: of a watch that knows no trainer yet: Lightning asks for the key when a trainer is made, and
            takes two that are equal for a mistake.  No part of the key later: who measures more often from now on
            keeps what was found.

    Example:
        >>> key("gradwatch"), key("gradwatch", 1)
        ("GradWatch{'name': 'gradwatch'}", "GradWatch{'name': 'gradwatch', 'number': 2}")
    """
    told = {"name": name, "number": place + 1 if place else None, "every_n_steps": every_n_steps}
    return "GradWatch" + repr({word: value for word, value in told.items() if value is not None})


def adopt(states: dict[str, Any], own: str, taken: Iterable[str]) -> None:
    """Give a watch without a state of its own the one that nobody else claims, if there is just one: it was renamed.

    Args:
        states: key -> state, all callbacks of a checkpoint; the adopted one is found under ``own`` too afterwards.
        own: key of the watch.
        taken: keys of all watches of the trainer.
    """
    orphans = [other for other in states if str(other).startswith(_KIND) and other not in set(taken)]
    if own not in states and len(orphans) == 1:
        states[own] = states.pop(orphans[0])


def pack(state: Mapping[str, Any]) -> dict[str, Any]:
    """State as one JSON text, compressed to a tenth: nothing that ``weights_only=True`` could refuse."""
    return {"format": FORMAT, "gradwatch": zlib.compress(dumps(state).encode("ascii"))}


def unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    """The state that ``pack`` packed; fields that came later may be absent.

    Raises:
        UnreadableRecord: it is damaged, foreign, or of a newer version.
    """
    number, held = packed.get("format"), packed.get("gradwatch")
    if type(number) is not int or not 1 <= number <= FORMAT:
        raise UnreadableRecord(f"its format is {number!r}, this version reads {_readable()}.")
    state = loads(held if isinstance(held, str) else _inflated(held), "checkpoint")  # a plain text in older states
    if not isinstance(state, dict):
        raise UnreadableRecord("it is no record of a watch.")
    return state


def _inflated(held: object) -> str:
    if not isinstance(held, bytes):
        raise UnreadableRecord("it holds no record.")
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(held, _LONGEST)
    except zlib.error:
        raise UnreadableRecord("it is damaged.") from None
    if not stream.eof:
        raise UnreadableRecord("it is cut off, or too long to be one of ours.")
    return text.decode("ascii", "replace")


def _readable() -> str:
    return "1" if FORMAT == 1 else f"1 to {FORMAT}"
