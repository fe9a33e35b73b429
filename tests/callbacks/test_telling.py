import dataclasses

import numpy as np
import pytest

from lightning_gradwatch.callbacks.telling import Teller
from lightning_gradwatch.detect import Change
from lightning_gradwatch.errors import MissingExtra
from lightning_gradwatch.records import Event, Kind, Severity
from lightning_gradwatch.verify.casebook import Casebook
from tests.reference.records import FINDING, chain, frame


class Memory:
    """A sink that remembers what it was told."""

    takes_pictures, name = True, "Memory"

    def __init__(self):
        self.frames, self.said, self.pictures = [], [], []

    def write(self, one, findings):
        self.frames.append(one.step)

    def announce(self, step, findings, events, notes):
        self.said.append((step, [f.id for f in findings], [e.action for e in events], list(notes)))

    def picture(self, step, image):
        assert image.dtype == np.uint8
        self.pictures.append(step)

    def close(self):
        pass


def teller(**options):
    casebook, sink = Casebook(), Memory()
    casebook.take(frame(0, chain(-0.1, -0.1)))
    return Teller(casebook, [sink], **options), sink


OPENED = Change("opened", FINDING)


def test_sinks_hear_everything(caplog):
    told, sink = teller(speaks=False, hides=Kind.VANISHING)
    told.frame(frame(3), [OPENED], [Event(step=3, action="stop", finding="", reason="")], ["a remark"])
    assert sink.frames == [3]
    assert sink.said == [(3, [FINDING.id], ["stop"], ["a remark"])]
    assert caplog.records == []


@pytest.mark.parametrize(("hides", "spoken"), [(None, 1), (Kind.VANISHING, 0)])
def test_console(hides, spoken, caplog):
    told, _ = teller(hides=hides)
    told.announce(3, [OPENED], [])
    assert sum("VANISHING" in record.message for record in caplog.records) == spoken


def test_a_finding_is_told_with_what_was_done_about_it(caplog):
    told, _ = teller()
    told.casebook.events.append(
        Event(step=1, action="decay_lr", finding=FINDING.id, reason="why", old=(0.1,), new=(0.05,))
    )
    told.announce(3, [Change("changed", FINDING)], [])
    assert "0.1 -> 0.05" in caplog.records[0].message


def test_ups_and_downs_of_severity_are_told_once(caplog):
    told, _ = teller()
    mild = dataclasses.replace(FINDING, severity=Severity.INFO)
    warned = dataclasses.replace(FINDING, severity=Severity.WARNING)
    for finding in (mild, warned, FINDING, warned, FINDING, warned):
        told.announce(3, [Change("changed", finding)], [])
    told.announce(4, [Change("resolved", dataclasses.replace(FINDING, resolved=True, resolved_step=4))], [])
    assert [("warning" in m, "critical" in m) for m in (r.message for r in caplog.records[:2])] == [
        (True, False),
        (False, True),
    ]
    assert len(caplog.records) == 3


def test_closing_records_how_findings_stand_and_closes_every_sink(monkeypatch, caplog):
    told, sink = teller(speaks=False)
    broken = Memory()
    monkeypatch.setattr(broken, "announce", lambda *args: 1 / 0)
    closed = []
    for one in (sink, broken):
        monkeypatch.setattr(one, "close", lambda one=one: closed.append(one))
    told.sinks = [broken, sink]
    for step in range(1, 6):
        told.casebook.take(frame(step, chain(*[-0.6] * 10)))
    told.close()
    assert sink.said == [(5, ["vanishing:loss"], [], told.casebook.notes)]
    assert closed == [broken, sink]
    assert [r.exc_info[0] for r in caplog.records] == [ZeroDivisionError]
    assert told.sinks == ()


def broken(sink, method, monkeypatch):
    monkeypatch.setattr(sink, method, lambda *args: 1 / 0)
    return sink


@pytest.mark.parametrize("method", ["write", "announce", "picture"])
def test_a_sink_that_fails_is_lost_and_the_others_go_on(method, monkeypatch, caplog):
    pytest.importorskip("matplotlib")
    told, sink = teller(speaks=False, picture_every_n_steps=1)
    told.sinks = [broken(Memory(), method, monkeypatch), sink]
    for step in range(1, 4):
        told.frame(frame(step, chain(-0.1, -0.1)), [OPENED], [], [])
    assert sink.frames == [1, 2, 3]
    assert told.sinks == [sink]
    sentence = "nothing more is written to Memory: ZeroDivisionError: division by zero"
    assert told.casebook.notes == [sentence]
    assert [(r.message, r.exc_info[0]) for r in caplog.records] == [(f"GradWatch: {sentence}", ZeroDivisionError)]
    assert sink.said[-1][3] == [sentence]  # the ones that are left record it


@pytest.mark.parametrize("method", ["write", "announce", "close"])
def test_strict_raises_what_a_sink_raises(method, monkeypatch):
    told, sink = teller(speaks=False, strict=True)
    told.sinks = [broken(Memory(), method, monkeypatch), sink]
    does = told.close if method == "close" else lambda: told.frame(frame(1), [OPENED], [], [])
    with pytest.raises(ZeroDivisionError):
        does()
    assert all(one is sink for one in told.sinks)


def test_a_logger_that_cannot_be_opened_is_lost(caplog):
    class Offline:
        @property
        def experiment(self):
            raise ConnectionError("no network")

    class Fine:
        def log_metrics(self, metrics, step):
            pass

    told, _ = teller(speaks=False)
    told.open([Offline(), Fine()])
    assert [sink.name for sink in told.sinks] == ["Memory", "Fine"]
    assert told.casebook.notes == ["nothing more is written to Offline: ConnectionError: no network"]


def test_a_picture_that_cannot_be_drawn_is_said_and_none_tried_again(monkeypatch, caplog):
    calls = []
    monkeypatch.setattr("lightning_gradwatch.report.figures.flow_image", lambda *args: calls.append(1) or 1 / 0)
    told, sink = teller(speaks=False, picture_every_n_steps=1)
    for step in range(1, 4):
        told.frame(frame(step), [], [], [])
    assert (calls, sink.pictures, sink.frames) == ([1], [], [1, 2, 3])
    assert told.casebook.notes == ["no more pictures are drawn: ZeroDivisionError: division by zero"]
    assert len(caplog.records) == 1


def test_nothing_to_say():
    told, sink = teller()
    told.announce(3, [], [])
    assert sink.said == []


@pytest.mark.parametrize(
    ("every", "opened", "expected"),
    [(10, [], [10, 20, 29]), (10, [3], [3, 13, 23, 29]), (1000, [], [29]), (0, [3], [])],
    ids=["every ten", "and when one opens", "at the end", "none at all"],
)
def test_pictures(every, opened, expected):
    pytest.importorskip("matplotlib")
    told, sink = teller(picture_every_n_steps=every, speaks=False)
    for step in range(30):
        one = frame(step, chain(-0.1, -0.1))
        told.casebook.take(one)
        told.frame(one, [OPENED] if step in opened else [], [], [])
    told.closing()
    assert sink.pictures == expected


def test_no_picture_is_drawn_where_nobody_takes_it(monkeypatch):
    monkeypatch.setattr("lightning_gradwatch.report.figures.flow_image", lambda *args: 1 / 0)
    told, sink = teller(picture_every_n_steps=1, speaks=False)
    monkeypatch.setattr(sink, "takes_pictures", False)
    told.closing()
    assert sink.pictures == []


def test_without_matplotlib_one_sentence_is_said(monkeypatch, caplog):
    def missing(report, width, height):
        raise MissingExtra("matplotlib", "A picture of gradient flow", "plot")

    monkeypatch.setattr("lightning_gradwatch.report.figures.flow_image", missing)
    told, sink = teller(picture_every_n_steps=1)
    for step in range(1, 4):
        told.frame(frame(step), [], [], [])
    sentence = 'A picture of gradient flow needs matplotlib: pip install "lightning-gradwatch[plot]"'
    assert [r.message for r in caplog.records] == [f"GradWatch: {sentence}"]
    assert sink.pictures == []


def test_nothing_is_said_of_what_is_silenced(capsys):
    one, sink = teller(speaks=True)
    hushed = dataclasses.replace(FINDING, severity=Severity.INFO, ignored="by design")
    one.announce(0, [Change("opened", hushed)], [])
    one.announce(1, [Change("resolved", dataclasses.replace(hushed, resolved=True, resolved_step=1))], [])
    assert capsys.readouterr().out + capsys.readouterr().err == ""
    assert [ids for _, ids, _, _ in sink.said] == [["vanishing:loss"]] * 2
    one.announce(2, [Change("opened", FINDING)], [])
    assert one._told == {FINDING.id: FINDING.severity}
