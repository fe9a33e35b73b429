"""Show a rule's page: what it looks for, why that harms, known false alarms, what to do.

Without a code, the list of rules.
"""

from __future__ import annotations

import argparse

from lightning_gradwatch.cli._exit import ExitCode
from lightning_gradwatch.errors import WrongArgument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("code", nargs="?", metavar="CODE", help="code of a rule, as a finding's causes give it: GW101")


def run(args: argparse.Namespace) -> ExitCode:
    """Prints the page, or the list."""
    from lightning_gradwatch.diagnose import rules

    by_code = {rule.code: rule for rule in rules()}
    if args.code is None:
        for code, rule in sorted(by_code.items()):
            print(f"{code}  {rule.kind:<15} {rule.title}")
    elif args.code.upper() in by_code:
        print(by_code[args.code.upper()].page().rstrip())
    else:
        raise WrongArgument("CODE", "the code of a rule", args.code, sorted(by_code))
    return ExitCode.FINE
