"""Parallel parts that take turns: an expert or a head that waits while its like are fed.

A detector's part.  Layers of a chain bear numbers as experts do; they stand one behind the other on the ledger, and
experts do not.
"""

from __future__ import annotations

from collections.abc import Iterator

from lightning_gradwatch.records import Frame, ParameterReading


def is_spare(silent: ParameterReading, frame: Frame) -> bool:
    """Whether a parameter without a gradient has a twin, of the same size under another number, that gets one.

    Args:
        silent: a parameter that got none.
        frame: the step.
    """
    fed = {r.name: r.size for r in frame.parameters if r.norm}
    for prefix, rest in _numbered(silent.name):
        twins = [name for name in fed if _is_twin(name, prefix, rest) and fed[name] == silent.size]
        if twins and len(_in_line(prefix, frame)) < 2:
            return True
    return False


def _numbered(name: str) -> Iterator[tuple[str, str]]:
    """Every way to read a name as one of many: (what stands before its number, what behind)."""
    parts = name.split(".")
    for place, part in enumerate(parts):
        if part.isdigit():
            yield "".join(f"{p}." for p in parts[:place]), "".join(f".{p}" for p in parts[place + 1 :])


def _is_twin(name: str, prefix: str, rest: str) -> bool:
    number = name.removeprefix(prefix).removesuffix(rest)
    return name.startswith(prefix) and name.endswith(rest) and number.isdigit()


def _in_line(prefix: str, frame: Frame) -> set[str]:
    """The numbers under that prefix that every path of the gradient passes: those of a chain."""
    passed = [m for ledger in frame.ledgers for s in ledger.body if s.family != "block" for m in s.modules]
    ends = [ledger.target_layer for ledger in frame.ledgers]
    names = (name.removeprefix(prefix).partition(".")[0] for name in (*passed, *ends) if name.startswith(prefix))
    return {number for number in names if number.isdigit()}
