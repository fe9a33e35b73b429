"""Check a network before it is trained: exit code 1 where its gradients do not flow.

Makes a few measured steps on a copy, as lightning_gradwatch.checkup does. TARGET is a function or class that makes the
network, or the network itself, written as package.module:name and looked up from the current directory. --config takes
the model and the data from a YAML file of LightningCLI instead.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lightning_gradwatch import __version__
from lightning_gradwatch.cli import _config
from lightning_gradwatch.cli._exit import ExitCode
from lightning_gradwatch.cli._targets import load, place_of, users_code
from lightning_gradwatch.errors import GradWatchError, WrongArgument

if TYPE_CHECKING:
    from lightning_gradwatch.report.gate import Gate
    from lightning_gradwatch.report.sarif import Place

FORMATS = ("text", "json", "sarif", "markdown", "junit")
BATCHES = 12


class _Asked(NamedTuple):
    """What is to be checked."""

    model: Any
    data: Any
    loss: Any
    seed: int
    name: str
    place: Place | None


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("target", nargs="?", metavar="TARGET", help="package.module:name of the network")
    parser.add_argument("--data", metavar="TARGET", help="of a batch, a loader, a data module, or what makes one")
    parser.add_argument("--loss", metavar="TARGET", help="of the loss: a function of the output and the batch")
    parser.add_argument("--config", type=Path, metavar="YAML", help="a file of LightningCLI with model and data")
    parser.add_argument("--batches", type=int, default=BATCHES, metavar="N", help=f"and steps (default: {BATCHES})")
    parser.add_argument("--seed", type=int, metavar="N", help="of the random numbers (default: the file's, or 0)")
    levels = ("info", "warning", "critical")
    parser.add_argument(
        "--fail-on", choices=levels, default="warning", help="the mildest to fail on (default: warning)"
    )
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="CODE=REASON", help="silence a rule or a kind; may be repeated"
    )
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="fail only where it is worse than recorded there")
    parser.add_argument("--write-baseline", type=Path, metavar="FILE", help="record what there is, and accept it")
    parser.add_argument("--prove", action="store_true", help="try every cause on a copy without that factor alone")
    parser.add_argument("--format", choices=FORMATS, default="text", help="of the output (default: text)")
    parser.add_argument("--output", metavar="FILE", type=Path, help="write there instead of to the console")


def run(args: argparse.Namespace) -> ExitCode:
    """Prints or writes the report; whether anything fails is the exit code."""
    from lightning_gradwatch.report.gate import baseline, baseline_of, baseline_text

    if args.target is None and args.config is None:
        raise WrongArgument("TARGET", "given where there is no --config", None)
    before = None if args.baseline is None else baseline_of(_text(args.baseline), repr(str(args.baseline)))
    gate, place = _checked(args, before)
    text = _formatted(gate, args.format, place).rstrip() + "\n"
    if args.output is None:
        print(text, end="")
    else:
        args.output.write_text(text, encoding="utf-8")
    if args.write_baseline is not None:
        args.write_baseline.write_text(baseline_text(baseline(gate.report)), encoding="utf-8")
    accepts = args.write_baseline is not None and before is None
    return ExitCode.FINE if gate.passes or accepts else ExitCode.ALARMS


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise GradWatchError(f"{str(file)!r}: not text.") from None


def _checked(args: argparse.Namespace, before: Any) -> tuple[Gate, Place | None]:
    from lightning_gradwatch.diagnose import Ignoring
    from lightning_gradwatch.records import Severity
    from lightning_gradwatch.remedies.surgery.ground import own_ground
    from lightning_gradwatch.report.gate import Gate
    from lightning_gradwatch.verify.checkup import checkup

    ignore = dict(map(_ignored, args.ignore))
    Ignoring(ignore)  # before the user's code runs
    seed = args.seed if args.config is None or args.seed is not None else _config.seed_of(args.config)
    seed = 0 if seed is None else seed
    with users_code(), own_ground(max(0, seed)):  # a network that is made on import is the same every time
        asked = _asked(args, seed)
        report = checkup(
            asked.model,
            asked.data,
            loss=asked.loss,
            batches=args.batches,
            seed=asked.seed,
            name=asked.name,
            ignore=ignore,
            prove=args.prove,
        )
    if not report.frames:
        raise GradWatchError("nothing could be checked: no batch gave a loss.")
    return Gate(report, Severity(args.fail_on), before), asked.place


def _ignored(given: str) -> tuple[str, str]:
    what, equals, reason = given.partition("=")
    if not equals:
        raise WrongArgument(
            "--ignore", "a code or a kind, =, and the reason: GW101='a gate is meant to saturate'", given
        )
    return what, reason


def _asked(args: argparse.Namespace, seed: int) -> _Asked:
    model = None if args.target is None else load("TARGET", args.target)
    data = None if args.data is None else load("--data", args.data)
    loss = None if args.loss is None else load("--loss", args.loss)
    place = None if model is None else place_of(model)
    if args.config is not None:
        place = place or (args.config.as_posix(), 1)
        model, source = _config.parts(args.config, model, data)
        data = None if source is None else source()
    elif data is not None and _is_maker(data):
        data = data()
    return _Asked(model, data, loss, seed, args.target or "", place)


def _is_maker(data: Any) -> bool:
    """Whether it is to be called for the data: a function or a class."""
    return (callable(data) and not hasattr(data, "__iter__")) or isinstance(data, type)


def _formatted(gate: Gate, form: str, place: Place | None) -> str:
    from lightning_gradwatch.report.junit import junit
    from lightning_gradwatch.report.sarif import sarif

    writers: dict[str, Callable[[], str]] = {
        "text": lambda: f"{gate.report}{_worse(gate)}",
        "markdown": lambda: f"{gate.report.to_markdown().rstrip()}{_worse(gate, '## ')}",
        "json": lambda: json.dumps({**gate.report.to_dict(), "passes": gate.passes, "worse": gate.worse}, indent=1),
        "sarif": lambda: json.dumps(sarif(gate, __version__, place), indent=1),
        "junit": lambda: junit(gate),
    }
    return writers[form]()


def _worse(gate: Gate, mark: str = "") -> str:
    """What the baseline has to say, as the last section."""
    from lightning_gradwatch.report.markdown import escape
    from lightning_gradwatch.report.words import plain

    if gate.recorded is None:
        return ""
    if not gate.worse:
        return f"\n\n{mark}Baseline: nothing is worse than recorded"
    shown = escape if mark else plain
    gap = "\n" if mark else ""
    return f"\n\n{mark}Worse than the baseline\n{gap}" + "\n".join(f"  - {shown(text)}" for text in gate.worse)
