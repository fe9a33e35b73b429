"""What a user has silenced, and why: rules and kinds of finding, everywhere or in some layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import cast

from lightning_gradwatch.diagnose.panel import rules
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Cause, Finding, Kind, Severity


@dataclass(frozen=True)
class _Silence:
    """One entry of ``ignore``."""

    what: str  # the code of a rule, or the word of a kind
    layers: str  # a pattern of layer names; "" where every layer is meant
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether all of the finding's layers are meant; one that names no layer is not meant by any pattern."""
        if not self.layers:
            return True
        return bool(finding.layers) and all(fnmatchcase(layer, self.layers) for layer in finding.layers)


class Ignoring:
    """The rules and kinds that a user does not want to hear of, each with the reason.

    Args:
        ignore: ``{"GW101": reason}``; ``"GW101:encoder.*"`` only where all layers of a finding match that pattern, and
            the word of a kind (``"dead_units:experts.*"``) whatever its causes.
        names: of detectors that name themselves in their findings (``"sagemaker:DeadRelu"``); they can be silenced too.

    Raises:
        WrongArgument: an entry names no rule and no kind, or has no reason.

    Example:
        >>> Ignoring({"GW101": "the output gate is meant to saturate"}).wanted
        True
    """

    def __init__(self, ignore: Mapping[str, str] | None = None, names: Iterable[str] = ()) -> None:
        known = (*(one.code for one in rules()), *(kind.value for kind in Kind), *names)
        self._silences = tuple(_silence(key, reason, known) for key, reason in _entries(ignore))

    @property
    def wanted(self) -> bool:
        """Whether anything is silenced at all."""
        return bool(self._silences)

    def explained(self, finding: Finding, causes: Sequence[Cause]) -> Finding:
        """The finding with its causes but those that are silenced, which silence it where they lead or stand alone.

        Args:
            finding: what was found.
            causes: all of its causes, biggest share first.
        """
        out = self.silenced(finding, causes)
        left = [cause for cause in causes if cause not in [one for one, _ in out]]
        whole = sum(cause.share for cause in left)
        shared = [replace(cause, share=cause.share / whole) for cause in left] if out else left
        leads = out[0][1] if out and out[0][0] == causes[0] else None
        return _hushed(replace(finding, causes=tuple(shared)), self._whole(finding) or leads)

    def silenced(self, finding: Finding, causes: Sequence[Cause]) -> list[tuple[Cause, str]]:
        """The causes that are left out of a finding, each with the reason.

        Args:
            finding: what was found.
            causes: all of its causes.
        """
        reasons = ((cause, self._reason(finding, cause.code)) for cause in causes)
        return [(cause, reason) for cause, reason in reasons if reason is not None]

    def excused(self, finding: Finding) -> Finding:
        """A finding at first sight, or one silenced before: it stays so, however bad, where its layers are meant.

        Args:
            finding: as it is measured now, with the causes and the reason that it had before.
        """
        known = [one.reason for one in self._silences if one.covers(finding)]
        reason = self._whole(finding)
        if reason is None and finding.ignored in known:
            reason = finding.ignored
        elif reason is None and finding.causes:  # silenced since the fit was resumed
            reason = self._reason(finding, finding.causes[0].code)
        return _hushed(finding, reason)

    def _whole(self, finding: Finding) -> str | None:
        """The reason that silences it whatever its causes."""
        detector = finding.id.partition(":")[2].partition(".")[0]
        return self._reason(finding, finding.kind.value) or self._reason(finding, detector)

    def _reason(self, finding: Finding, what: str) -> str | None:
        return next((one.reason for one in self._silences if one.what == what and one.covers(finding)), None)


def _hushed(finding: Finding, reason: str | None) -> Finding:
    if reason is None:
        return finding if finding.ignored is None else replace(finding, ignored=None)
    return replace(finding, ignored=reason, severity=Severity.INFO)


def _entries(ignore: object) -> Iterable[tuple[object, object]]:
    if ignore is not None and not isinstance(ignore, Mapping):
        raise WrongArgument("ignore", "codes of rules or kinds of finding, each with its reason", ignore)
    return cast("Mapping[object, object]", ignore or {}).items()


def _silence(key: object, reason: object, known: Sequence[str]) -> _Silence:
    what, colon, layers = str(key).partition(":")
    word = next((one for one in known if one.lower() == what.strip().lower()), None)
    if word is None:
        raise WrongArgument("ignore", "codes of rules or kinds of finding, each with its reason", key, known)
    if colon and not layers.strip():
        raise WrongArgument("ignore", "without a colon, or with a pattern of layers behind it", key)
    if not isinstance(reason, str) or not reason.strip():
        raise WrongArgument("ignore", "given with the reason, which the report repeats", {key: reason})
    return _Silence(word, layers.strip(), reason.strip())
