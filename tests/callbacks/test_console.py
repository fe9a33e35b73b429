"""What a user reads while a fit runs."""

import io
import logging
import re
import sys

import pytest

from lightning_gradwatch import GradWatch
from lightning_gradwatch.callbacks import console
from tests.callbacks.fits import NAMESPACES, data, fit, module, network, trainer


def test_console_block_and_closing_line(caplog):
    fit(GradWatch())
    block, closing = [r.message for r in caplog.records if r.name == "lightning_gradwatch"]
    assert all(word in block for word in ("VANISHING", "net.0", "step 0", "GW101", "Sigmoid", "try"))
    assert len(closing.splitlines()) == 1


def test_verbose_false_is_silent(caplog):
    fit(GradWatch(verbose=False))
    assert [r for r in caplog.records if r.name == "lightning_gradwatch"] == []


def test_other_ranks_are_silent(caplog, monkeypatch):
    watch = GradWatch()
    runner = trainer(NAMESPACES[0], [watch], logger=True)
    monkeypatch.setattr(type(runner), "is_global_zero", False)
    runner.fit(module(NAMESPACES[0], network()), data())
    assert [r for r in caplog.records if r.name == "lightning_gradwatch"] == []
    assert len(watch.report.findings) == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "coloured"), [(Terminal, True), (io.StringIO, False)], ids=["terminal", "pipe"])
def test_colour_only_on_a_terminal(stream, coloured, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", stream())
    handler = console._Stderr()
    message = "\nGradWatch  VANISHING gradient (critical) since step 0\n  what    [bold]net.0[/bold] [GW101]"
    handler.emit(logging.makeLogRecord({"msg": "%s", "args": (message,), "levelno": logging.WARNING}))
    written = sys.stderr.getvalue()
    assert ("\x1b[" in written) is coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)
    assert plain == message + "\n"  # names of layers are no markup


def test_without_rich_it_is_plain(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setattr("sys.stderr", Terminal())
    console._Stderr().emit(logging.makeLogRecord({"msg": "GradWatch  Healthy", "levelno": logging.INFO}))
    assert sys.stderr.getvalue() == "GradWatch  Healthy\n"


def test_handler_only_where_nobody_set_logging_up(monkeypatch):
    logger = logging.getLogger("lightning_gradwatch")
    with monkeypatch.context() as patch:
        patch.setattr(logging.root, "handlers", [logging.NullHandler()])
        console.prepare()
        assert logger.handlers == []
    with monkeypatch.context() as patch:
        patch.setattr(logging.root, "handlers", [])
        patch.setattr(logger, "handlers", [])
        patch.setattr(logger, "propagate", True)
        console.prepare()
        console.prepare()
        assert [type(h).__name__ for h in logger.handlers] == ["_Stderr"]
