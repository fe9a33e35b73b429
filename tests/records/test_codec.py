"""Records survive JSON; what is not a record of ours is one sentence."""

import json
import math

import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Cause, CauseKind, Event, Finding, Frame, Kind, Quantity, Remedy, Severity
from lightning_gradwatch.records.codec import decode, dumps, encode, loads
from tests.reference.records import FINDING, FRAME

RECORDS = {
    "frame": FRAME,
    "finding": FINDING,
    "event": Event(step=3, action="decay_lr", finding="vanishing:loss", reason="why", old=(0.1,), new=(0.05,)),
    "quantity": Quantity(name="lost", value=-math.inf, unit="decades"),
    "empty frame": Frame(step=0, global_step=0, epoch=0, batch=0, loss=None),
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS.keys())
def test_round_trip(record):
    text = dumps(record)
    json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert decode(type(record), loads(text)) == record


def test_nan_survives():
    back = decode(Quantity, loads(dumps(Quantity(name="x", value=math.nan))))
    assert math.isnan(back.value)


def test_every_kind_of_record_is_covered():
    """Each record type occurs in what the round trip carries."""
    text = dumps([encode(record) for record in RECORDS.values()])
    for kind in (Cause, Remedy, Finding):
        assert any(f'"{name}"' in text for name in kind.__dataclass_fields__)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (Finding, [], r"Finding: expected an object"),
        (Quantity, {"name": "x"}, r"Quantity: the field 'value' is missing"),
        (Quantity, {"name": 3, "value": 1.0}, r"Quantity\.name: expected str, got '3'"),
        (Quantity, {"name": "x", "value": "1.0"}, r"Quantity\.value: expected float"),
        (Quantity, {"name": "x", "value": True}, r"Quantity\.value: expected float"),
        (Quantity, {"name": "x", "value": 10**400}, r"Quantity\.value: expected float"),
        (Frame, {"step": 1.5}, r"Frame\.step: expected int"),
        (Kind, "sick", r"Kind: expected one of vanishing, exploding"),
        (Event, {"step": 0, "action": "a", "finding": "f", "reason": "r", "old": 3}, r"Event\.old: expected a list"),
        (Kind, ["vanishing"], r"Kind: expected one of"),
    ],
    ids=str,
)
def test_damaged_data_is_one_sentence(kind, data, message):
    with pytest.raises(UnreadableRecord, match=message):
        decode(kind, data)


def test_unknown_fields_are_ignored():
    assert decode(Quantity, {"name": "x", "value": 1, "later": "field"}) == Quantity(name="x", value=1.0)


@pytest.mark.parametrize("text", ["{", "", "nope", "[" * 100_000])
def test_text_that_is_not_json(text):
    with pytest.raises(UnreadableRecord, match="report: not JSON"):
        loads(text, "report")


def test_deep_nesting_is_one_sentence():
    data = None
    for _ in range(100_000):
        data = [data]
    with pytest.raises(UnreadableRecord):
        decode(Frame, {"step": data})


def test_words_print_as_themselves():
    assert str(Kind.VANISHING) == f"{Kind.VANISHING}" == Kind.VANISHING == "vanishing"
    assert str(CauseKind.DEPTH) == "depth"


@pytest.mark.parametrize(("low", "high"), [("info", "warning"), ("warning", "critical"), ("info", "critical")])
def test_severity_is_ordered(low, high):
    assert Severity(low) < Severity(high) <= Severity(high)
    assert Severity(high) > Severity(low) >= Severity(low)
    assert not Severity(high) < low  # also against the plain word
