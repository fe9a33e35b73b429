"""How this package speaks: through logging, visible where nobody set that up, in colour on a terminal."""

from __future__ import annotations

import logging
import sys

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
        logger.addHandler(Stderr())
        logger.propagate = False
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


class Stderr(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to whatever stderr is at the time, as notebooks and tests exchange it; in colour where rich is there."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
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
