"""Judges the recorded frames of all fits anew, with the detectors and rules as they are now, without training.

    python benchmarks/judgement/replay.py [--half develop|judge|both] [--only GLOB] [-v]

Labels, measurements and the peers' alarms are those of the stored results; ``-v`` shows what was found in each fit.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from gather import cases
from recordings import FRAMES, load
from run import RESULTS, halves, summary

from lightning_gradwatch.records import Finding
from lightning_gradwatch.verify.casebook import Casebook


def main() -> None:
    args = _arguments()
    stored = json.loads(args.json.read_text())
    rows = []
    for one in cases(args.half, args.only):
        file = FRAMES / f"{one.name}.jsonl.gz"
        if one.name not in stored or "error" in stored[one.name] or not file.exists():
            print(f"{one.name} has no recording: run run.py --only '{one.name}'.")
            continue
        found, rang = judged(file)
        rows.append({**stored[one.name], **_label(one), "gradwatch": as_results(found, rang)})
        if args.verbose:
            print(f"{one.name}\n    {summary(rows[-1])}\n{_told(found)}")
    print(halves(rows))


def judged(file: Path) -> tuple[tuple[Finding, ...], dict[str, tuple[int, str]]]:
    """What the casebook says of the frames in a file, and the step at which each finding first was an alarm."""
    anatomy, frames = load(file)
    book, rang = Casebook(anatomy=anatomy), {}
    for frame in frames:
        book.take(frame)
        for finding in book.report.findings:
            if finding.is_alarm and finding.id not in rang:
                rang[finding.id] = frame.step, str(finding.severity)
    return book.report.findings, rang


def as_results(found: tuple[Finding, ...], rang: dict[str, tuple[int, str]]) -> list[dict[str, Any]]:
    from run_one import findings

    return findings(found, rang)


def _label(one: Any) -> dict[str, Any]:
    """The label as it stands now: a relabelled fit needs no training."""
    from run_one import labelled

    return labelled(one)


def _told(found: tuple[Finding, ...]) -> str:
    lines = []
    for finding in found:
        where, when = ", ".join(finding.layers[:4]), f"{finding.first_step}..{finding.last_step}"
        lines.append(f"    [{finding.severity}] {finding.kind} {when} in {where}: {finding.summary}")
        lines.append("        " + ", ".join(f"{q.name} {q.value:.3g} {q.unit}".rstrip() for q in finding.evidence))
        lines += [f"        {cause.share:4.0%} {cause.code} {cause.kind}: {cause.sentence}" for cause in finding.causes]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--half", choices=("develop", "judge", "both"), default="both")
    parser.add_argument("--only", metavar="GLOB", default="*", help="names of fits, with or without the seed")
    parser.add_argument("--json", metavar="FILE", type=Path, default=RESULTS, help="the stored results")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="what was found in each fit, why, by which numbers"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
