"""Show a rule's page, or a kind's: what is looked for, by which numbers, known false alarms, what to do.

Without a code, the list of rules and kinds.
"""

from __future__ import annotations

import argparse

from lightning_gradwatch.cli._exit import ExitCode
from lightning_gradwatch.errors import WrongArgument


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "code",
        nargs="?",
        metavar="CODE",
        help="code of a rule, as a finding's causes give it (GW101), or vanishing ...",
    )


def run(args: argparse.Namespace) -> ExitCode:
    """Prints the page, or the list."""
    from lightning_gradwatch.detect.pages import kind_page
    from lightning_gradwatch.diagnose import rules
    from lightning_gradwatch.records import Kind

    by_code = {rule.code: rule for rule in rules()}
    kinds = {kind.value: kind for kind in Kind}
    if args.code is None:
        for code, rule in sorted(by_code.items()):
            print(f"{code}  {rule.kind:<15} {rule.title}")
        print(f"and the kinds of finding: {', '.join(kinds)}")
    elif args.code.upper() in by_code:
        print(by_code[args.code.upper()].page().rstrip())
    elif args.code.lower() in kinds:
        print(kind_page(kinds[args.code.lower()]).rstrip())
    else:
        raise WrongArgument("CODE", "the code of a rule or a kind of finding", args.code, [*sorted(by_code), *kinds])
    return ExitCode.FINE
