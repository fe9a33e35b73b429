"""Changes as words for TensorBoard's text tab, which reads Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from lightning_gradwatch.records import Event, Finding
from lightning_gradwatch.records.lines import Changes

_MARKUP = frozenset("\\`*_{}[]<>&|!~$#\"'")
_MOST_LAYERS = 8
_TREATING = {
    "treat": "**treated with {name}** loss on copies",
    "no_cure": "**found no cure**",
    "undo_treat": "**took back {name}**",
}


def markdown(changes: Changes) -> str:
    """What changed at one step, for people.

    Example:
        >>> markdown(Changes(step=7, notes=("weights of a*b are frozen",)))
        'Note: weights of a&#42;b are frozen'
    """
    return "\n\n".join(_blocks(changes))


def literal(text: str) -> str:
    """Text as Markdown and HTML that shows exactly that text on one line: names are never markup.

    Example:
        >>> literal("<b>net_0</b>")
        '&#60;b&#62;net&#95;0&#60;/b&#62;'
    """
    # "//" is taken apart because bare addresses become links.
    shown = "".join(f"&#{ord(c)};" if c in _MARKUP else c if c.isprintable() else " " for c in text)
    return shown.replace("//", "&#47;&#47;")


def _blocks(changes: Changes) -> Iterator[str]:
    for finding in changes.findings:
        yield "\n\n".join(_finding(finding))
    for event in changes.events:
        yield _event(event)
    for note in changes.notes:
        yield f"Note: {literal(note)}"


def _finding(finding: Finding) -> Iterator[str]:
    kind = finding.kind.value.replace("_", " ")
    if finding.resolved:
        since = "" if finding.resolved_step is None else f" at step {finding.resolved_step}"
        yield f"**resolved{since}: {kind}** {literal(finding.summary)}"
        return
    yield f"**{finding.severity}: {kind}** {literal(finding.summary)}"
    if finding.layers:
        more = len(finding.layers) - _MOST_LAYERS
        names = ", ".join(map(literal, finding.layers[:_MOST_LAYERS])) + (f" and {more} more" if more > 0 else "")
        yield f"Where: {names}, since step {finding.first_step}"
    for cause in finding.causes:
        yield f"Why ({cause.share:.0%}): {literal(f'{cause.title} ({cause.code}). {cause.sentence}')}"
    for remedy in finding.remedies:
        yield f"Try: {literal(f'{remedy.title}. {remedy.advice}')}"


def _event(event: Event) -> str:
    change = f" {_values(event.old)} -&#62; {_values(event.new)}" if event.old or event.new else ""
    effect = f" Effect: {literal(event.effect_sentence or event.effect)}" if event.effect else ""
    if event.action not in _TREATING:
        return f"**did {literal(event.action)}**{change}: {literal(event.reason)}{effect}"
    name = literal(event.treatment or "a treatment")
    lines = [f"{_TREATING[event.action].format(name=name)}{change}: {literal(event.reason)}{effect}"]
    lines += [literal(sentence) for sentence in event.did[:_MOST_LAYERS]]
    more = len(event.did) - _MOST_LAYERS
    return "\n\n".join([*lines, *([f"and {more} more changes"] if more > 0 else [])])


def _values(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.3g}" for value in values[:4]) + (", ..." if len(values) > 4 else "")
