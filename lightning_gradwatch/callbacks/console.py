"""What the watch says while a fit runs: through logging, on rank zero only, silenced by ``verbose=False``."""

from __future__ import annotations

from lightning_gradwatch.detect import Change
from lightning_gradwatch.records import Event
from lightning_gradwatch.report import text
from lightning_gradwatch.verify.casebook import Casebook
from lightning_gradwatch.voice import logger


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
