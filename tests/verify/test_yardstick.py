"""How ill a step is, in one number, and what came back of it in words."""

import math
from dataclasses import replace

import pytest

from lightning_gradwatch.records import Frame, Kind, Ledger, OperationReading, Segment, TimeProfile
from lightning_gradwatch.verify.yardstick import ledger_of, yardstick
from tests.verify.proofs import finding

INF = math.inf
BLANK = Frame(step=0, global_step=0, epoch=0, batch=0, loss=1.0)


def ledger(decades, name="loss"):
    segments = tuple(
        Segment(label="", layer=layer, modules=(layer,), operations=(), family="linear", decades=size, position=0)
        for layer, size in decades
    )
    return Ledger(name=name, target="c.weight", target_layer="c", segments=segments, start=0, end=0)


def reading(layer, **facts):
    return OperationReading(layer=layer, operation="Sigmoid", family="activation", **facts)


FLOW = replace(BLANK, ledgers=(ledger([("a", -3.0), ("b", -5.0)]),))
GROWN = replace(BLANK, ledgers=(ledger([("a", 3.0), ("b", 5.0)]),))
TIME = replace(BLANK, times=(TimeProfile(ledger="loss", layer="rnn", decades=(-7.0, -3.0, 0.5), steps=3),))
ILL = {
    "the worst layer": (FLOW, {"layers": ("c",)}, 8.0),
    "a layer on the way": (FLOW, {"layers": ("b",)}, 3.0),
    "a layer that is not there any more": (FLOW, {"layers": ("gone",)}, 8.0),
    "a layer that is well": (GROWN, {"layers": ("c",)}, 0.0),
    "growth": (GROWN, {"name": "exploding:loss"}, 8.0),
    "no growth": (FLOW, {"name": "exploding:loss"}, 0.0),
    "another loss": (
        replace(FLOW, ledgers=(ledger([]), ledger([("a", -2.0)], "loss[1]"))),
        {"name": "vanishing:loss[1]"},
        2,
    ),
    "a branch": (replace(FLOW, branches=(ledger([("a", -6.0)], "loss"),)), {"name": "vanishing:loss/branch"}, 6.0),
    "time lost": (TIME, {"name": "vanishing_in_time:loss:rnn"}, 7.5),
    "time grown": (TIME, {"name": "exploding_in_time:loss:rnn"}, 0.0),
    "time of another layer": (TIME, {"name": "vanishing_in_time:loss:other"}, None),
    "nothing measured": (BLANK, {}, None),
    "not finite": (replace(BLANK, ledgers=(ledger([("a", math.nan)]),)), {"layers": ("c",)}, None),
    "overflow": (replace(BLANK, ledgers=(ledger([("a", INF)]),)), {"layers": ("c",)}, None),
    "overflow of growth": (replace(BLANK, ledgers=(ledger([("a", INF)]),)), {"name": "exploding:loss"}, None),
    "slopes": (
        replace(BLANK, operations=(reading("a", slope=0.01), reading("b", slope=0.5), reading("x", slope=0.0))),
        {"name": "saturation", "layers": ("a", "b")},
        2.0,
    ),
    "slopes of gates": (
        replace(BLANK, operations=(reading("a", slope=0.01, gates=True),)),
        {"name": "saturation", "layers": ("a",)},
        None,
    ),
    "dead units": (
        replace(BLANK, operations=(reading("a", dead=1.0, units=10), reading("b", dead=0.0, units=30))),
        {"name": "dead_units", "layers": ("a", "b")},
        0.25,
    ),
    "a dead end": (
        replace(BLANK, ledgers=(ledger([("a", -INF)]),)),
        {"name": "zero", "kind": Kind.DEAD_UNITS, "layers": ("a",)},
        INF,
    ),
}


@pytest.mark.parametrize(("frame", "about", "ill"), ILL.values(), ids=ILL)
def test_how_ill_a_step_is(frame, about, ill):
    measured = yardstick(finding("GW101", **about)).measure(frame)
    assert measured == (None if ill is None else pytest.approx(ill))


@pytest.mark.parametrize("name", ["exploding", "nonfinite", "disconnected", "stalled", "saturation:lstm.weight_hh_l0"])
def test_what_one_batch_cannot_show(name):
    assert yardstick(finding("GW601", name=name)) is None


SAID = {
    "all of it": ("vanishing:loss", 8.0, 0.0, 1.0, "8.0 of 8.0 decades come back"),
    "some": ("vanishing:loss", 8.0, 6.0, 0.25, "2.0 of 8.0 decades come back"),
    "none": ("vanishing:loss", 8.0, 8.0, 0.0, "none of 8.0 decades come back"),
    "worse": ("vanishing:loss", 8.0, 9.5, 0.0, "none of 8.0 decades come back: 1.5 more"),
    "cut off": ("vanishing:loss", 8.0, INF, 0.0, "none of 8.0 decades come back: nothing arrives any more"),
    "from nothing": ("vanishing:loss", INF, 2.0, 1.0, "the gradient arrives, 2.0 decades below the head's"),
    "from nothing to nothing": ("vanishing:loss", INF, INF, 0.0, "still nothing arrives"),
    "growth": ("exploding:loss", 8.0, 2.0, 0.75, "6.0 of 8.0 decades are gone"),
    "slopes": (
        "saturation", 2.0, 0.0, 1.0, "the flattest activation has 100 % of its largest slope in place of 1 %",
    ),
    "dead units": ("dead_units", 1.0, 0.25, 0.75, "25 % of the units are dead in place of 100 %"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "before", "after", "share", "words"), SAID.values(), ids=SAID)
def test_what_came_back(name, before, after, share, words):
    stick = yardstick(finding("GW302", name=name))
    assert stick.recovered(before, after) == pytest.approx(share)
    assert stick.say(before, after) == words


def test_the_ledger_is_the_one_that_the_finding_names_or_the_first():
    first, second = ledger([], "loss"), ledger([], "loss[1]")
    frame = replace(BLANK, ledgers=(first, second))
    assert ledger_of(finding("GW101", name="vanishing:loss[1]"), frame) is second
    assert ledger_of(finding("GW101", name="saturation"), frame) is first
    assert ledger_of(finding("GW101"), BLANK) is None
