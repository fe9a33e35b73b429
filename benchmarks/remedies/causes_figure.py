"""The picture of causes and cures: gradient lost before the first step across, digits told right upwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from article import CAUSES, REMEDIES
from cures_page import figures

INK, CURED, SICK = "#3d444d", "#1a7f37", "#cf222e"  # of the report's own figures
FAR = 22.0  # decades; what lost more, or everything, is drawn here


def draw(results: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """Bars of accuracy with their spread, one panel for each cause, a bar for each remedy, the best on top."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    causes = [name for name in CAUSES if name in results]
    rows, columns = max(1, math.ceil(len(causes) / 2)), 2
    figure = Figure(figsize=(12, 3.9 * rows), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for i, name in enumerate(causes):
        _panel(figure.add_subplot(rows, columns, i + 1), name, results[name])
    file.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "causes"}):
        figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _panel(ax: Any, cause: str, results: Mapping[str, Any]) -> None:
    known = [(name, figures(results[name])) for name in CAUSES[cause].remedies if name in results]
    shown = sorted(known, key=lambda pair: pair[1]["accuracy"][0] if "accuracy" in pair[1] else -1.0)
    for y, (name, row) in enumerate(shown):
        if "accuracy" in row:
            mean, deviation = row["accuracy"]
            color = INK if name == "nothing" else CURED if mean >= 0.85 else SICK
            ax.barh(y, mean, xerr=deviation, color=color, alpha=0.75, height=0.72, ecolor=INK, error_kw={"lw": 1})
            ax.text(1.01, y, _decades(row), va="center", fontsize=7.5, color=INK)
        else:
            ax.text(0.01, y, "refused by torch", va="center", fontsize=7.5, color=SICK)
    ax.set_yticks(range(len(shown)), [REMEDIES[name].title for name, _ in shown], fontsize=8, color=INK)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"], fontsize=8, color=INK)
    ax.axvline(0.1, color="#8a929b", linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    ax.grid(axis="x", color="#e6e9ec", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(INK)
    ax.set_title(CAUSES[cause].title, fontsize=9, color=INK, loc="left")
    ax.set_xlabel("unseen digits told right; at the right: decades lost", fontsize=8, color=INK)


def _decades(row: Mapping[str, Any]) -> str:
    if "before" not in row:
        return ""
    mean = row["before"][0]
    return "all" if mean > FAR and math.isinf(mean) else f"{mean:.1f}"
