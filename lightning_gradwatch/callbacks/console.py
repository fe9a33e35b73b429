"""What the watch says while a fit runs: through logging, on rank zero only, silenced by ``verbose=False``."""

from __future__ import annotations

import logging
import sys

from lightning_gradwatch.detect import Change
from lightning_gradwatch.records import Event
from lightning_gradwatch.report import text
from lightning_gradwatch.verify.casebook import Casebook

logger = logging.getLogger("lightning_gradwatch")

# What of a message is set off: verdicts by how bad they are, and the words that lead its lines.
_STYLES = (
    (r"GradWatch  [A-Z ]+ .*\(critical\)", "bold red"),
    (r"GradWatch  [A-Z ]+ .*\(warning\)", "bold yellow"),
    (r"Healthy", "bold green"),
    (r"(?m)^  (what|where|why|done|try|more) ", "bold"),
    (r"(GW\d{3})", "cyan"),
)


def prepare() -> None:
    """Make messages visible where nobody set logging up, as Lightning does for its own."""
    if not logging.root.handlers and not logger.handlers:
        logger.addHandler(_Stderr())
        logger.propagate = False
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever stderr is at the time, as notebooks and tests exchange it; in colour where rich is there."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        if not (self.stream.isatty() and _print_in_colour(self.format(record))):
            super().emit(record)


def _print_in_colour(message: str) -> bool:
    """Print to the terminal with the headings in colour; False where rich is not installed.

    Names of layers are the user's: the message is never read as markup.
    """
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return False
    coloured = Text(message)
    for pattern, style in _STYLES:
        coloured.highlight_regex(pattern, style)
    Console(file=sys.stderr, highlight=False, soft_wrap=True).print(coloured)
    return True


def change(changed: Change, events: tuple[Event, ...] = ()) -> None:
    """One block for a finding that appears or gets worse, one line for one that heals."""
    if changed.what == "resolved":
        logger.info(text.resolved_line(changed.finding))
    else:  # a progress bar may stand in the line: start on a fresh one
        logger.warning("\n%s", text.finding_block(changed.finding, events))


def event(happened: Event) -> None:
    """One line for what was done."""
    logger.info("GradWatch  %s", text.event_line(happened))


def closing(casebook: Casebook) -> None:
    """One line at the end of the fit."""
    logger.info(text.closing_line(casebook.report))


def note(sentence: str) -> None:
    """One sentence that the user should know."""
    logger.info("GradWatch: %s", sentence)


def broken(sentence: str, error: Exception) -> None:
    """A part of the watch that fails and is done without: one sentence and the traceback, once."""
    logger.error("GradWatch: %s", sentence, exc_info=error)


def failed(stage: str, error: Exception) -> None:
    """The traceback of an error of ours, once."""
    logger.error(
        "GradWatch failed in %s and is switched off; the fit goes on. Please report this.", stage, exc_info=error
    )
