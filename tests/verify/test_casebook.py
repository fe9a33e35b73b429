import json

import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Event
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
