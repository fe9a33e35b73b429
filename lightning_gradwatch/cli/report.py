"""Show the report of a fit again, from what was recorded.

Reads a TensorBoard log directory, one of its event files, or a JSON-lines recording, as data only. A directory may hold
several runs: they are reported one after the other.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lightning_gradwatch.cli._exit import ExitCode
from lightning_gradwatch.errors import WrongArgument

if TYPE_CHECKING:
    from lightning_gradwatch.report import Report

# How several reports become one text.
FORMATS: dict[str, Callable[[Sequence[Report]], str]] = {
    "text": lambda reports: "\n\n".join(map(str, reports)),
    "markdown": lambda reports: "\n\n".join(report.to_markdown().rstrip() for report in reports),
    "html": lambda reports: _only(reports, "html").to_html(),
    "json": lambda reports: json.dumps(_one_or_all([report.to_dict() for report in reports]), indent=1),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("path", metavar="LOGDIR|FILE", help="log directory, event file or JSON-lines recording")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of the output (default: text)")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write there instead of to the console")


def run(args: argparse.Namespace) -> ExitCode:
    """Prints or writes the report; whether anything is still wrong is the exit code."""
    reports = list(_reports(args.path))
    text = FORMATS[args.format](reports).rstrip() + "\n"
    if args.output is None:
        print(text, end="")
    else:
        args.output.write_text(text, encoding="utf-8")
    return ExitCode.ALARMS if any(report.alarms for report in reports) else ExitCode.FINE


def _reports(path: str) -> list[Report]:
    from lightning_gradwatch.report import Report
    from lightning_gradwatch.sinks import read_runs

    # A lone run goes by what the user called it.
    return [
        replace(Report.of(recording), name=path if run in (".", Path(path).name) else run)
        for run, recording in read_runs(path).items()
    ]


def _one_or_all(items: list[dict[str, object]]) -> object:
    return items[0] if len(items) == 1 else items


def _only(reports: Sequence[Report], form: str) -> Report:
    if len(reports) > 1:
        names = [report.name for report in reports]
        raise WrongArgument("LOGDIR", f"one run, for a page of {form}", f"{len(names)} runs", names)
    return reports[0]
