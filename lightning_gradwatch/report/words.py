"""How a person says it: sizes, names, steps and titles.  Pure strings, ASCII of our own, names taken literally."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from lightning_gradwatch.records import Cause, Kind

WIDTH = 100  # columns of a console block

TITLES = {
    Kind.VANISHING: "VANISHING gradient",
    Kind.EXPLODING: "EXPLODING gradient",
    Kind.DEAD_UNITS: "DEAD units",
    Kind.SATURATION: "SATURATED activations",
    Kind.NONFINITE: "NON-FINITE gradient",
    Kind.DISCONNECTED: "DISCONNECTED layers",
    Kind.STALLED: "STALLED training",
}


def plain(text: str) -> str:
    r"""One line in which every character can be seen: names may hold line breaks and terminal codes.

    Example:
        >>> plain("net\x1b[31m\n0")
        'net\\x1b[31m\\n0'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def short(name: str, width: int = 40) -> str:
    """A name with its middle left out where it is longer than that.

    Example:
        >>> short("encoder.blocks.11.attention.projection", 20)
        'encoder.b...ojection'
    """
    name = plain(name) or "(unnamed)"
    tail = (width - 3) // 2
    return name if len(name) <= width else f"{name[: width - 3 - tail]}...{name[-tail:]}"


def ratio(decades: float) -> str:
    """10 to the power of that, to two digits, beyond what a float can hold.

    Example:
        >>> [ratio(d) for d in (0.0, -0.3, -2.0, -16.2, 3.0, -400.0)]
        ['1', '0.5', '0.01', '6.3e-17', '1,000', '1.0e-400']
    """
    if not math.isfinite(decades):
        return "?" if math.isnan(decades) else "inf" if decades > 0 else "0"
    if -3 < decades < 6:
        value = 10.0**decades
        return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
    exponent = math.floor(decades)
    mantissa = f"{10 ** (decades - exponent):.1f}"
    return f"1.0e{exponent + 1}" if mantissa == "10.0" else f"{mantissa}e{exponent}"


def part(decades: float) -> str:
    """How much of something that is, to be followed by that something.

    Example:
        >>> [part(d) for d in (0.0, -0.3, -2.5, -16.2, 1.0)]
        ['all of', '50 % of', '0.32 % of', '6.3e-17 of', '10 times']
    """
    if math.isnan(decades):
        return "an unknown part of"
    if math.isinf(decades):
        return "an infinite multiple of" if decades > 0 else "nothing of"
    if abs(decades) < 0.02:
        return "all of"
    if decades > 0:
        return f"{ratio(decades)} times"
    return f"{100 * 10**decades:.2g} % of".replace("1e+02", "99") if decades > -3 else f"{ratio(decades)} of"


def percent(share: float) -> str:
    """A share of 0..1 as whole per cent, never rounded to nothing.

    Example:
        >>> percent(0.714), percent(0.002)
        ('71 %', '<1 %')
    """
    if math.isnan(share):
        return "? %"
    return "<1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def count(number: int, noun: str) -> str:
    """A number and its noun.

    Example:
        >>> count(1, "layer"), count(1200, "layer")
        ('1 layer', '1,200 layers')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def span(first: int, last: int) -> str:
    """The steps from first to last.

    Example:
        >>> span(3, 3), span(0, 59)
        ('step 3', 'steps 0 to 59')
    """
    return f"step {first}" if first == last else f"steps {first} to {last}"


def some(layers: Sequence[str], total: int | None = None, width: int = WIDTH - 9) -> str:
    """The first names that fit, and how many there are.

    Example:
        >>> some(("net.0", "net.2", "net.4"), total=20, width=40)
        'net.0, net.2, ... (3 of 20 layers)'
    """
    if not layers:
        return "the whole network"
    of = f" of {total:,}" if total is not None and total >= len(layers) else ""
    tail = f" ({len(layers):,}{of} layer{'' if len(layers) == 1 and not of else 's'})"
    names = [short(name) for name in layers]
    kept = len(names)
    while kept > 1 and len(_listed(names, kept) + tail) > width:
        kept -= 1 if kept < 20 else kept // 4
    return _listed(names, kept) + tail


def _listed(names: list[str], kept: int) -> str:
    return ", ".join(names[:kept]) + (", ..." if kept < len(names) else "")


def wrap(text: str, width: int, lines: int | None = None) -> list[str]:
    """The text in lines of that width, clipped with three dots after so many lines."""
    return textwrap.wrap(plain(text), width, max_lines=lines, placeholder=" ...") or [""]


def heading(cause: Cause) -> str:
    """The cause in two words: ``activation [GW101]``."""
    return f"{cause.kind.value.replace('_', ' ')} [{plain(cause.code)}]"


def told(cause: Cause) -> str:
    """Why, and what a trial proved of it.

    Example:
        >>> from lightning_gradwatch.records import CauseKind
        >>> told(Cause(kind=CauseKind.DEPTH, code="GW201", title="", share=1.0, sentence="too deep", proof="it was."))
        'too deep. Proof: it was.'
    """
    return f"{cause.sentence.rstrip('.')}. Proof: {cause.proof}" if cause.proof else cause.sentence


def shares(causes: Sequence[Cause]) -> str:
    """The causes and how much of the finding each explains, in one line."""
    return ", ".join(f"{percent(cause.share)} {cause.kind.value.replace('_', ' ')}" for cause in causes)
