"""The picture of gradient flow over depth and time, to be understood without a legend.

Left is the input, right the head; a curve is one measured step, pale for early ones, dark for the last; its height is
the share of the head's gradient that arrives at each layer.  The layers that a finding names are shaded and labelled.
"""

# pyright: basic
# (matplotlib's own stubs leave their keyword arguments unknown)

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lightning_gradwatch.errors import MissingExtra
from lightning_gradwatch.records import Finding, Kind
from lightning_gradwatch.report import words
from lightning_gradwatch.report.flow import Flow, flow
from lightning_gradwatch.report.scale import Scale
from lightning_gradwatch.report.verdict import NOTHING, name_of, reach, total_layers

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    from lightning_gradwatch.report.report import Report

_INK, _EARLY, _LATE, _EARLY_INK = "#1b1f24", "#8fbbe3", "#0b3c6f", "#35719f"
_SICK, _SICK_INK, _HEALTHY_INK = "#f6c6c0", "#a1160d", "#1d6b2f"
_DPI = 100
_MARKERS_UP_TO = 40  # layers; beyond it markers run into each other
_SYMPTOMS = {
    Kind.VANISHING: "too little gradient",
    Kind.EXPLODING: "too much gradient",
    Kind.DEAD_UNITS: "dead or behind dead units",
    Kind.SATURATION: "saturated",
    Kind.NONFINITE: "inf or nan",
    Kind.DISCONNECTED: "no gradient",
    Kind.STALLED: "hardly moving",
}


def draw_flow(ax: Axes, report: Report) -> None:
    """Draw the gradient flow of that report into the axes."""
    shown = flow(report.frames, report.alarms)
    if shown is None:
        _draw_nothing(ax, report)
    else:
        _draw(ax, report, shown)
    for text in ax.findobj(_is_text):
        text.set(parse_math=False, usetex=False)  # type: ignore[call-arg]  # names are text, never markup


def flow_image(report: Report, width_px: int = 900, height_px: int = 560) -> np.ndarray:
    """The picture as an image, (height_px, width_px, 3) of uint8; it touches no global state of matplotlib.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "A picture of gradient flow", "plot") from None
    import numpy as np

    figure = Figure(figsize=(width_px / _DPI, height_px / _DPI), dpi=_DPI, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    draw_flow(figure.add_subplot(), report)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw(ax: Axes, report: Report, shown: Flow) -> None:
    rows = [shown.decades(i)[::-1] for i in range(len(shown.steps))]  # head first -> head at the right
    scale = Scale.over(rows)
    _draw_frame(ax, shown, scale)
    if report.worst is not None:
        _draw_sick(ax, report.worst, shown, scale)
    _draw_curves(ax, shown, [scale.clip(row) for row in rows])
    _draw_title(ax, report, shown)


def _draw_frame(ax: Axes, shown: Flow, scale: Scale) -> None:
    count = len(shown.layers)
    ax.set_facecolor("white")
    ax.axhline(0.0, color="#8a929b", linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    ax.set_xlim(-0.5 - 0.02 * count, count - 0.5 + 0.02 * count)
    ax.set_ylim(scale.bottom, scale.top)
    ax.set_yticks(*scale.ticks(), color=_INK)
    ax.grid(axis="y", color="#e6e9ec", linewidth=0.8, zorder=0)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(_INK)
    _draw_layer_names(ax, shown)
    measure = "share of the head's gradient that arrives" if shown.ledger else "size beside the last layer's"
    ax.set_ylabel(measure, color=_INK)
    ax.set_xlabel("input  <----  the gradient travels this way  <----  output (head)", color=_INK)


def _draw_layer_names(ax: Axes, shown: Flow) -> None:
    """As many names as can be read, both ends among them; the font does not know every script, so ASCII."""
    names = [_ascii(words.short(layer, 16 if len(shown.layers) > 4 else 24)) for layer in reversed(shown.layers)]
    width = ax.get_window_extent().width / ax.figure.dpi  # inches
    room = max(3, int(width / 0.32))
    step = max(1, math.ceil((len(names) - 1) / (room - 1)))
    kept = [i for i in range(0, len(names), step) if len(names) - 1 - i >= step or i == len(names) - 1]
    kept = sorted({*kept, len(names) - 1})
    longest = max(len(names[i]) for i in kept)
    steep = longest * 0.085 * len(kept) > width
    turn: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if steep else {}
    ax.set_xticks(kept, [names[i] for i in kept], fontsize=8 if steep else 9, color=_INK, **turn)


def _draw_sick(ax: Axes, finding: Finding, shown: Flow, scale: Scale) -> None:
    columns = [len(shown.layers) - 1 - i for i in shown.marked(finding)]
    spans = _runs(sorted(columns))
    for first, last in spans:
        ax.axvspan(first - 0.5, last + 0.5, color=_SICK, alpha=0.55, linewidth=0, zorder=0.5)
    if not spans:
        return
    first, last = max(spans, key=lambda run: run[1] - run[0])
    middle = (first + last) / 2
    near = middle / max(1, len(shown.layers) - 1)
    side = "left" if near < 0.35 else "right" if near > 0.65 else "center"
    place = {"left": first - 0.4, "right": last + 0.4, "center": middle}[side]
    label = ax.text(place, scale.top - 0.03 * scale.height, _annotation(finding), ha=side, va="top", zorder=5)
    label.set(color=_SICK_INK, fontsize=9.5, fontweight="bold", linespacing=1.35)


def _annotation(finding: Finding) -> str:
    total = total_layers(finding)
    count = len(finding.layers)
    where = f"{count:,} of {total:,} layers" if total and total >= count else words.count(count, "layer")
    lines = [f"{_SYMPTOMS[finding.kind]}: {where}"]
    if finding.causes:
        lines.append(f"why: {words.shares(finding.causes[:3])}")
    return "\n".join(lines)


def _runs(columns: list[int]) -> list[tuple[int, int]]:
    """Neighbouring columns as (first, last)."""
    runs: list[tuple[int, int]] = []
    for column in columns:
        if runs and column == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], column)
        else:
            runs.append((column, column))
    return runs


def _draw_curves(ax: Axes, shown: Flow, rows: list[list[float]]) -> None:
    xs = range(len(shown.layers))
    marker = "o" if len(xs) <= _MARKERS_UP_TO else ""
    for i, row in enumerate(rows[1:-1], 1):
        ax.plot(xs, row, color=_between(i / (len(rows) - 1)), linewidth=0.8, alpha=0.6, zorder=2)
    if len(rows) > 1:
        ax.plot(xs, rows[0], color=_EARLY, linewidth=2.2, marker=marker, markersize=4, zorder=3)
    ax.plot(xs, rows[-1], color=_LATE, linewidth=2.4, marker=marker, markersize=4.5, zorder=4)
    _draw_steps(ax, shown, rows)


def _draw_steps(ax: Axes, shown: Flow, rows: list[list[float]]) -> None:
    """Names the first and the last curve where they lie furthest apart, or both in one where they nowhere do."""
    first, last = rows[0], rows[-1]
    apart = [abs(a - b) if math.isfinite(a - b) else -1.0 for a, b in zip(first, last, strict=True)]
    at = max(range(len(apart)), key=apart.__getitem__)
    bottom, top = ax.get_ylim()
    if apart[at] >= 0.06 * (top - bottom):
        _label(ax, at, first, f"step {shown.steps[0]}", _EARLY_INK, below=first[at] < last[at])
        _label(ax, at, last, f"step {shown.steps[-1]}", _LATE, below=last[at] < first[at])
    else:
        middle = sorted(range(len(last)), key=lambda i: (math.isnan(last[i]), abs(i - 0.4 * len(last))))[0]
        _label(ax, middle, last, words.span(shown.steps[0], shown.steps[-1]), _LATE, below=True)


def _label(ax: Axes, x: int, row: list[float], text: str, color: str, *, below: bool) -> None:
    """A word beside the curve, on the side that the curve turns away from; a white rim keeps it readable on others."""
    from matplotlib.patheffects import withStroke

    around = [row[i] for i in (x - 1, x + 1) if 0 <= i < len(row)]
    rising = len(around) == 2 and around[1] >= around[0]
    left = x > 0.85 * (len(row) - 1) > 0 or (x >= 3 and rising != below)
    ax.annotate(
        text,
        (x, row[x]),
        xytext=(-4 if left else 4, -6 if below else 6),
        textcoords="offset points",
        ha="right" if left else "left",
        va="top" if below else "bottom",
        color=color,
        fontsize=9,
        fontweight="bold",
        zorder=6,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )


def _draw_title(ax: Axes, report: Report, shown: Flow) -> None:
    worst = report.worst
    state = "Gradient flows" if shown.fine else "No alarm, though little gradient arrives"
    color = _HEALTHY_INK if shown.fine else _INK
    if worst is not None:
        state, color = f"{words.TITLES[worst.kind]} since step {worst.first_step}", _SICK_INK
    name = f"{_ascii(words.short(name, 24))}: " if (name := name_of(report)) else ""
    second = _ascii(reach(shown, 28)) if shown.ledger else "no ledger: sizes of the parameters' gradients"
    ax.set_title(f"{name}{state}\n{second}", loc="left", fontsize=11.5, color=color, fontweight="bold")


def _draw_nothing(ax: Axes, report: Report) -> None:
    said = NOTHING if not report.frames else "No gradient flow was measured: see the notes of the report."
    ax.set_axis_off()
    ax.text(0.5, 0.5, "\n".join(words.wrap(said, 44)), transform=ax.transAxes, ha="center", va="center", color=_INK)


def _between(share: float) -> tuple[float, float, float]:
    """The colour of a step between the first (0) and the last (1)."""
    early, late = ([int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in (_EARLY, _LATE))
    red, green, blue = (a + share * (b - a) for a, b in zip(early, late, strict=True))
    return red, green, blue


def _ascii(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode("ascii")


def _is_text(artist: Any) -> bool:
    return hasattr(artist, "set_parse_math")
