"""What the watch says while a fit runs: through logging, on rank zero only, silenced by ``verbose=False``."""

from __future__ import annotations

import logging
import sys

from lightning_gradwatch.callbacks.casebook import Casebook
from lightning_gradwatch.detect import Change
from lightning_gradwatch.records import Event
from lightning_gradwatch.report import text

logger = logging.getLogger("lightning_gradwatch")


def prepare() -> None:
    """Make messages visible where nobody set logging up, as Lightning does for its own."""
    if not logging.root.handlers and not logger.handlers:
        logger.addHandler(_Stderr())
        logger.propagate = False
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever stderr is at the time, as notebooks and tests exchange it."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


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


def failed(stage: str, error: Exception) -> None:
    """The traceback of an error of ours, once."""
    logger.error(
        "GradWatch failed in %s and is switched off; the fit goes on. Please report this.", stage, exc_info=error
    )
