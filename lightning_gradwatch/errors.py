"""What can go wrong, as sentences.  Everything this package raises on purpose is defined here.

GradWatchError
├── WrongArgument      (also a ValueError)   a user's argument breaks a rule
├── UnreadableRecord   (also a ValueError)   a recording is damaged, foreign or from a newer format
└── MissingExtra       (also an ImportError) an optional package is not installed
"""

from __future__ import annotations

from collections.abc import Iterable


class GradWatchError(Exception):
    """Base of every error that lightning-gradwatch raises on purpose."""


class WrongArgument(GradWatchError, ValueError):
    """An argument breaks a rule; the message names the argument, the rule and the value got."""

    def __init__(self, argument: str, rule: str, got: object, available: Iterable[object] = ()) -> None:
        self.argument, self.rule, self.got = argument, rule, got
        choices = ", ".join(repr(item) for item in available)
        super().__init__(f"`{argument}` must be {rule}, got {got!r}." + (f" Available: {choices}." if choices else ""))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), str(self), self.argument, self.rule, self.got)


class UnreadableRecord(GradWatchError, ValueError):
    """A recording, report file or log directory cannot be read; the message says which and why."""


class MissingExtra(GradWatchError, ImportError):
    """An optional package is needed; the message is one sentence with the install line."""

    def __init__(self, package: str, purpose: str, extra: str) -> None:
        self.package, self.purpose, self.extra = package, purpose, extra
        super().__init__(f'{purpose} needs {package}: pip install "lightning-gradwatch[{extra}]"')

    def __reduce__(self) -> tuple[object, ...]:
        return MissingExtra, (self.package, self.purpose, self.extra)


def _rebuild(kind: type[WrongArgument], message: str, argument: str, rule: str, got: object) -> WrongArgument:
    """Unpickle a WrongArgument without composing its message a second time (errors cross process borders)."""
    error = kind.__new__(kind)
    ValueError.__init__(error, message)
    error.argument, error.rule, error.got = argument, rule, got
    return error
