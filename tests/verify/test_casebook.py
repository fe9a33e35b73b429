import json

import pytest

from lightning_gradwatch.diagnose import Ignoring
from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Event
from lightning_gradwatch.verify import notes
from lightning_gradwatch.verify.casebook import Casebook
from tests.reference.records import chain, frame

SICK, HEALTHY = chain(*[-0.6] * 10), chain(*[-0.1] * 10)


def taken(*ledgers):
    casebook = Casebook()
    changes = [casebook.take(frame(i, ledger)) for i, ledger in enumerate(ledgers)]
    return casebook, changes


def test_new_findings_are_explained_and_prescribed_for():
    casebook, changes = taken(*[SICK] * 3)
    [finding] = casebook.report.findings
    assert changes[-1][0].finding == finding
    assert finding.causes[0].kind == "activation"
    assert finding.remedies


def test_causes_are_those_of_the_beginning():
    """A network that began with small weights and saturated later was sick for its weights."""
    casebook, _ = taken(*[SICK] * 3)
    before = casebook.report.findings[0].causes
    for i in range(3, 12):
        casebook.take(frame(i, chain(*[-0.1] * 10, linear=-0.9), loss=1.0 - 0.05 * i))
    assert casebook.report.findings[0].causes == before


def test_memory_is_bounded_and_spans_the_fit():
    casebook, _ = taken(*[HEALTHY] * 1000)
    steps = [one.step for one in casebook.frames]
    assert len(steps) <= 128
    assert (steps[0], steps[-1]) == (0, 999)
    assert steps == sorted(set(steps))


def test_notes_are_said_once():
    casebook = Casebook()
    assert casebook.note("a")
    assert not casebook.note("a")
    assert casebook.report.notes == ("a",)


def test_state_goes_through_json_and_stays_small():
    casebook, _ = taken(*[SICK] * 300)
    casebook.events.append(Event(step=3, action="stop", finding="vanishing:loss", reason="why"))
    casebook.note("a note")
    text = json.dumps(casebook.state())
    assert len(text) < 1_000_000
    again = Casebook()
    again.restore(json.loads(text))
    assert again.report.findings == casebook.report.findings
    assert again.report.events == casebook.report.events
    assert again.report.notes == casebook.report.notes
    assert again.frames[-1] == casebook.frames[-1]


def test_damaged_state():
    casebook, _ = taken(*[SICK] * 3)
    state = casebook.state()
    state["events"] = [{"step": "x"}]
    with pytest.raises(UnreadableRecord, match=r"Event\.step: expected int"):
        Casebook().restore(state)


def test_restoring_the_fit_at_hand_thins_nothing():
    """A learning-rate finder restores the fit that it interrupts."""
    casebook, _ = taken(*[SICK] * 120)
    state, steps = casebook.state(), [one.step for one in casebook.frames]
    assert len(state["frames"]) < len(steps)
    casebook.take(frame(120, SICK))
    casebook.restore(state)
    assert [one.step for one in casebook.frames] == steps


# --- what is silenced -------------------------------------------------------------------------------------------------


def silenced(*ledgers, ignore, start=0, book=None):
    book = book or Casebook(ignoring=Ignoring(ignore))
    changes = [change for i, ledger in enumerate(ledgers) for change in book.take(frame(start + i, ledger))]
    return book, changes


def test_a_silenced_finding_is_an_information_with_the_reason_and_no_advice():
    book, [change] = silenced(*[SICK] * 5, ignore={"GW101": "by design"})
    [finding] = book.report.findings
    assert change.finding.id == finding.id
    assert (finding.severity, finding.ignored, finding.remedies, finding.is_alarm) == ("info", "by design", (), False)
    assert [cause.code for cause in finding.causes] == ["GW201"]
    assert sum(cause.share for cause in finding.causes) == pytest.approx(1)
    assert book.notes == [notes.silenced("GW101", "Activations pass too little slope", "by design")]
    assert book.report.healthy


def test_another_cause_is_left_out_and_the_alarm_stays():
    book, _ = silenced(*[SICK] * 3, ignore={"GW201": "it has to be deep"})
    [finding] = book.report.findings
    assert [cause.code for cause in finding.causes] == ["GW101"]
    assert finding.is_alarm
    assert finding.remedies
    assert "it has to be deep" in str(book.report)


def test_it_stays_silent_when_it_gets_worse():
    book, _ = silenced(*[SICK] * 3, ignore={"vanishing": "by design"})
    worse = silenced(*[chain(*[-1.5] * 10)] * 5, ignore={}, start=3, book=book)[1]
    assert worse == []
    assert (book.report.findings[0].severity, book.report.findings[0].last_step) == ("info", 7)


def test_it_rings_once_it_shows_in_another_layer():
    few, more = chain(*[-0.1] * 6, *[-1.2] * 4), chain(*[-0.1] * 4, *[-1.2] * 6)
    book, _ = silenced(*[few] * 3, ignore={"vanishing:net.[012]": "they are to be slow"})
    assert book.report.findings[0].layers == ("net.0", "net.1", "net.2")
    assert not book.report.alarms
    _, [change] = silenced(more, ignore={}, start=3, book=book)
    [alarm] = book.report.alarms
    assert (change.what, change.finding, alarm.ignored) == ("opened", alarm, None)
    assert len(alarm.layers) > 3
    assert alarm.causes
    assert alarm.remedies
    assert alarm.first_step == 0


@pytest.mark.parametrize("before", [{}, {"GW101": "then"}])
@pytest.mark.parametrize("after", [{}, {"GW101": "now"}])
def test_a_resumed_fit_goes_by_what_is_asked_now(before, after):
    book, _ = silenced(*[SICK] * 3, ignore=before)
    again = Casebook(ignoring=Ignoring(after))
    again.restore(json.loads(json.dumps(book.state())))
    assert [one.causes for one in again.report.findings] == [one.causes for one in book.report.findings]
    again.take(frame(3, SICK))
    assert again.report.findings[0].ignored == after.get("GW101")
    assert bool(again.report.alarms) == (not after)


def test_what_rings_is_not_silenced_by_fewer_layers_alarms_do_not_flicker():
    few, more = chain(*[-0.1] * 6, *[-1.2] * 4), chain(*[-0.1] * 4, *[-1.2] * 6)
    book, changes = silenced(*[more] * 3, *[few, more] * 4, ignore={"vanishing:net.[012]": "they are to be slow"})
    assert [change.what for change in changes].count("opened") == 1
    assert not any(change.finding.ignored for change in changes)
    assert book.report.alarms


def test_what_was_measured_is_the_same():
    frames = [silenced(*[SICK] * 6, ignore=ignore)[0].report.frames for ignore in ({}, {"GW101": "by design"})]
    assert frames[0] == frames[1]
