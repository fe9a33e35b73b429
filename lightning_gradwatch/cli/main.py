"""The ``gradwatch`` command: finds the commands of this folder, runs one, turns errors into one sentence.

Exit codes: 0 fine or nothing found, 1 open findings (``report``, ``check``), 2 wrong usage or unreadable input, 130
interrupted, 141 the reader of the output went away.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import NoReturn

from lightning_gradwatch import __version__, cli
from lightning_gradwatch.cli._exit import EXIT_CODES, ExitCode
from lightning_gradwatch.errors import GradWatchError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; ``argv`` is by default what the shell gave.

    Example:
        >>> main(["--version"]) == ExitCode.FINE
        lightning-gradwatch ...
        True
    """
    try:
        return _run(argv)
    except SystemExit as error:  # --help and --version
        return int(error.code or 0)
    except BrokenPipeError:
        return _cut_off()
    except (GradWatchError, OSError) as error:
        return _unusable(str(error))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def commands() -> Iterator[tuple[str, ModuleType]]:
    """Name and module of every command, by name."""
    for module in pkgutil.iter_modules(cli.__path__):
        if module.name != "main" and not module.name.startswith("_"):
            yield module.name, importlib.import_module(f"{cli.__name__}.{module.name}")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, not after a screen of usage."""

    def error(self, message: str) -> NoReturn:
        raise GradWatchError(f'{message} (see "{self.prog} --help")')


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    if args.run is None:
        parser.print_help(sys.stderr)
        return ExitCode.UNUSABLE
    code = int(args.run(args))
    sys.stdout.flush()  # here, where a broken pipe is understood, and not at Python's exit
    return code


def _parser() -> argparse.ArgumentParser:
    shared = {"epilog": EXIT_CODES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = _Parser(prog="gradwatch", description="Watches how gradients flow through a fit.", **shared)
    parser.add_argument("--version", action="version", version=f"lightning-gradwatch {__version__}")
    parser.set_defaults(run=None)
    adder = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, module in commands():
        text = module.__doc__ or ""
        command = adder.add_parser(name, help=text.partition("\n")[0].rstrip("."), description=text, **shared)
        module.arguments(command)
        command.set_defaults(run=module.run)
    return parser


def _unusable(sentence: str) -> int:
    print(f"gradwatch: {sentence}", file=sys.stderr)
    return ExitCode.UNUSABLE


def _cut_off() -> int:
    """The reader of our output has gone (``| head``): nothing to complain of, which Python would do at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.CUT_OFF
