"""Fit a sick network and its cure side by side, and see what GradWatch says about both.

Writes TensorBoard logs and a picture of both fits. Takes well under a minute on two CPU cores and downloads nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_gradwatch.cli._exit import ExitCode

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lightning_gradwatch.cases import Case, Fit
    from lightning_gradwatch.report import Report

CASE, STEPS, FOLDER, PICTURE = "sigmoid-default", 120, Path("gradwatch_demo"), "flow.png"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("--case", default=CASE, metavar="NAME", help=f"the network to fit (default: {CASE})")
    parser.add_argument("--steps", type=_positive, default=STEPS, help=f"training steps of each (default: {STEPS})")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="DIR", help=f"where to (default: {FOLDER})")
    parser.add_argument("--list", action="store_true", help="list the cases and fit nothing")


def run(args: argparse.Namespace) -> ExitCode:
    """Fits the case and its cure, and shows both."""
    if args.list:
        _show_cases()
        return ExitCode.FINE
    watched = [_watch(case, args.steps, args.out) for case in _with_cure(args.case)]
    print(_comparison(watched), end="\n\n")
    if missed := _missed(watched[0]):
        print(missed, end="\n\n")
    print(watched[0].report, end="\n\n")
    print(f"picture      {_draw(watched, args.out / PICTURE)}")
    print(f"TensorBoard  tensorboard --logdir {args.out}")
    print(f"again        gradwatch report {watched[0].folder}")
    return ExitCode.FINE


@dataclass(frozen=True, kw_only=True)
class _Watched:
    """One fit, what the watch said, and where it was logged."""

    fit: Fit
    report: Report
    folder: str

    @property
    def column(self) -> tuple[str, ...]:
        """The numbers of the comparison, as text."""
        from lightning_gradwatch.report.flow import flow

        shown = flow(self.report.frames)
        lost = "?" if shown is None else f"{max(0.0, -shown.arrived):.1f}"
        worst = self.report.worst
        verdict = "healthy" if worst is None else f"{worst.kind} ({worst.severity})"
        return self.fit.case.name, lost, f"{self.fit.loss:.2f}", f"{self.fit.accuracy:.0%}", verdict


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def _with_cure(name: str) -> list[Case]:
    from lightning_gradwatch.cases import find

    case = find(name)
    return [case] if case.cure is None else [case, find(case.cure)]


def _show_cases() -> None:
    from lightning_gradwatch.cases import CASES

    for case in CASES.values():
        cure = f" (cure: {case.cure})" if case.cure else ""
        print(f"{case.name:<18} {'healthy' if case.healthy else str(case.expected):<11} {case.title}{cure}")


def _watch(case: Case, steps: int, out: Path) -> _Watched:
    from lightning_gradwatch._lightning import namespace
    from lightning_gradwatch.callbacks.gradwatch import GradWatch
    from lightning_gradwatch.cases import fit

    print(f"{case.name}: {case.title}, {steps} training steps on handwritten digits", flush=True)
    watch, logger = GradWatch(name=case.name), namespace().loggers.TensorBoardLogger(out, name=case.name)
    done = fit(case, steps, callbacks=[watch], logger=logger)
    print(flush=True)
    return _Watched(fit=done, report=watch.report, folder=logger.log_dir)


def _comparison(watched: list[_Watched]) -> str:
    labels = ("", "decades of gradient lost", "loss on unseen digits (nats)", "accuracy on unseen digits", "verdict")
    lines = zip(labels, *(one.column for one in watched), strict=True)
    return "\n".join(f"{label:<30}" + "".join(f"{cell:>24}" for cell in cells) for label, *cells in lines)


def _missed(watched: _Watched) -> str:
    """What the case is made to show and the watch did not find, in one sentence; "" where it did."""
    case = watched.fit.case
    if case.healthy or any(finding.kind is case.expected for finding in watched.report.findings):
        return ""
    steps = watched.fit.steps
    return f"{case.name} is a case of {case.expected}, which was not found in these {steps} steps: {case.cause}"


def _draw(watched: list[_Watched], file: Path) -> Path:
    """Both pictures side by side, over the same scale."""
    from lightning_gradwatch.errors import MissingExtra

    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "the picture of the demo", "demo") from error
    figure = Figure(figsize=(9 * len(watched), 5.6), layout="constrained")
    axes = figure.subplots(1, len(watched), squeeze=False)[0]
    for ax, one in zip(axes, watched, strict=True):
        one.report.plot(ax)
    _share_scale(list(axes))
    figure.savefig(file)
    return file


def _share_scale(axes: list[Axes]) -> None:
    """The widest scale for all: a loss of 17 decades beside one of none should look like it."""
    limits = [ax.get_ylim() for ax in axes]
    low, high = min(limit[0] for limit in limits), max(limit[1] for limit in limits)
    widest = min(axes, key=lambda ax: ax.get_ylim()[0])
    ticks = list(widest.get_yticks())
    labels = [label.get_text() for label in widest.get_yticklabels()]
    for ax in axes:
        ax.set_yticks(ticks, labels)
        ax.set_ylim(low, high)
