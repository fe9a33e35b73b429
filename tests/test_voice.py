"""Messages that a user sees without setting logging up."""

import io
import logging
import re
import sys

import pytest

from lightning_gradwatch import voice


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "coloured"), [(Terminal, True), (io.StringIO, False)], ids=["terminal", "pipe"])
def test_colour_only_on_a_terminal(stream, coloured, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", stream())
    handler = voice.Stderr()
    message = "\nGradWatch  VANISHING gradient (critical) since step 0\n  what    [bold]net.0[/bold] [GW101]"
    handler.emit(logging.makeLogRecord({"msg": "%s", "args": (message,), "levelno": logging.WARNING}))
    written = sys.stderr.getvalue()
    assert ("\x1b[" in written) is coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert plain == message + "\n"  # names of layers are no markup


def test_without_rich_it_is_plain(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr("sys.stderr", Terminal())
    voice.Stderr().emit(logging.makeLogRecord({"msg": "GradWatch  Healthy", "levelno": logging.INFO}))
    assert sys.stderr.getvalue() == "GradWatch  Healthy\n"


def test_handler_only_where_nobody_set_logging_up(monkeypatch):
    logger = logging.getLogger("lightning_gradwatch")
    with monkeypatch.context() as patch:
        patch.setattr(logging.root, "handlers", [logging.NullHandler()])
        voice.prepare()
        assert logger.handlers == []
    with monkeypatch.context() as patch:
        patch.setattr(logging.root, "handlers", [])
        patch.setattr(logger, "handlers", [])
        patch.setattr(logger, "propagate", True)
        voice.prepare()
        voice.prepare()
        assert [type(h).__name__ for h in logger.handlers] == ["Stderr"]
