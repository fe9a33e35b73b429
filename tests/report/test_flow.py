import dataclasses
import math

import pytest

from lightning_gradwatch.records import profile
from lightning_gradwatch.records.flow import flow_by_layer
from lightning_gradwatch.report.flow import flow
from tests.report.samples import chain, frame, ledger, segment, sick, vanishing


def test_hand_worked_chain():
    shown = flow([frame(0, ledger(["a", "b", "c"], activation=-0.6, linear=-0.25))])
    assert shown.layers == ("c", "b", "a")
    assert shown.decades(0) == pytest.approx((0.0, -0.85, -1.7))
    assert shown.arrived == pytest.approx(-1.7)


def test_agrees_with_what_detectors_judge():
    book = ledger(chain(6), activation=[-1.0, -2.0, 0.0, 0.3, -0.4, 0.0], linear=-0.2)
    pooled = dataclasses.replace(
        book, segments=(*book.segments[:5], segment("pool", -1.4, "net.6"), *book.segments[5:])
    )
    shown = flow([frame(0, pooled)])
    judged = flow_by_layer(pooled)
    assert dict(zip(shown.layers, shown.decades(0), strict=True)) == pytest.approx(judged)


def test_agrees_with_the_profile_where_nothing_pools():
    one = frame(0, ledger(chain(5)))
    assert flow([one]).decades(0) == tuple(cell.flow for cell in profile(one, one.ledgers[0]))


NONE = {
    "no frames": [],
    "an empty frame": [frame(0)],
    "one layer only": [frame(0, ledger(["a"]))],
    "one parameter only": [frame(0, names=["a"])],
}


@pytest.mark.parametrize("frames", NONE.values(), ids=NONE)
def test_nothing_to_show(frames):
    assert flow(frames) is None


def test_ledger_of_the_worst_finding_is_shown():
    one = frame(0, ledger(chain(3)), ledger(chain(4), name="loss[1]"))
    assert flow([one]).ledger == "loss"
    assert flow([one], [vanishing(["net.0"], id="vanishing:loss[1]")]).ledger == "loss[1]"
    assert flow([one], [vanishing(["net.0"], id="nonfinite")]).ledger == "loss"


def test_many_frames_are_thinned_with_both_ends():
    frames = [frame(step, ledger(chain(3))) for step in range(100)]
    steps = flow(frames, limit=7).steps
    assert len(steps) == 7
    assert (steps[0], steps[-1]) == (0, 99)
    assert list(steps) == sorted(set(steps))


def test_networks_that_change_are_lined_up_by_name():
    frames = [frame(0, ledger(["c", "d"])), frame(1, ledger(["a", "b", "c", "d"])), frame(2, ledger(["b", "d"]))]
    shown = flow(frames)
    assert shown.layers == ("d", "c", "b", "a")
    assert [cell is None for cell in shown.rows[0]] == [False, False, True, True]
    assert math.isnan(shown.decades(2)[1])
    assert shown.arrived == shown.decades(2)[2]


def test_a_layer_used_twice_has_two_columns():
    book = ledger(["a", "b", "c", "d"])
    shared = dataclasses.replace(
        book, segments=tuple(dataclasses.replace(s, layer="b" if s.layer == "d" else s.layer) for s in book.segments)
    )
    assert flow([frame(0, shared)]).layers == ("b", "c", "b", "a")


def test_behind_a_dead_place_nothing_arrives():
    book = ledger(chain(4), activation=[math.nan, math.nan, -math.inf, 0.0], linear=[0.0, math.nan, math.nan, 0.0])
    assert flow([frame(0, book)]).decades(0) == (0.0, -math.inf, -math.inf, -math.inf)


def test_overflow_and_death_on_one_path_are_unknown_not_an_error():
    book = ledger(chain(4), activation=[0.0, math.inf, -math.inf, 0.0], linear=0.0)
    assert all(math.isnan(value) for value in flow([frame(0, book)]).decades(0)[1:])


@pytest.mark.parametrize(
    ("named", "columns"),
    {
        "itself": (("net.1",), ("net.1",)),
        "what it holds": (("enc",), ("enc.0", "enc.1.fc")),
        "what holds it": (("enc.1.fc.linear",), ("enc.1.fc",)),
        "no prefix of a word": (("net.10",), ()),
        "not everything": (("",), ()),
    }.values(),
    ids=["itself", "what it holds", "what holds it", "no prefix of a word", "not everything"],
)
def test_marked(named, columns):
    shown = flow([frame(0, ledger(["net.1", "enc.0", "enc.1.fc", "head"]))])
    marked = shown.marked(vanishing(named))
    assert {shown.layers[i] for i in marked} == set(columns)


TOLD = {
    "deepest where all is well": ([0.1, -0.3, 0.0], "a"),
    "the most starved": ([2.0, -4.0, 0.0], "b"),
    "the deepest where it is the most starved": ([-3.0, -4.0, 0.0], "a"),
    "nothing arrives": ([0.0, -math.inf, 0.0], "a"),
}


@pytest.mark.parametrize(("activation", "layer"), TOLD.values(), ids=TOLD)
def test_the_layer_to_speak_of(activation, layer):
    shown = flow([frame(0, ledger(["a", "b", "c"], activation=activation, linear=0.0))])
    assert shown.told == (layer, dict(zip(shown.layers, shown.decades(0), strict=True))[layer])


@pytest.mark.parametrize(("lost", "fine"), [(-1.9, True), (-2.1, False), (-math.inf, False), (math.nan, False)])
def test_fine(lost, fine):
    assert flow([frame(0, ledger(["a", "b"], activation=lost, linear=0.0))]).fine is fine


def test_without_a_ledger_parameters_stand_in():
    one = frame(0, names=["a", "b", "c"])
    readings = [dataclasses.replace(r, norm=norm) for r, norm in zip(one.parameters, (1e-5, 0.0, 1e-2), strict=True)]
    shown = flow([dataclasses.replace(one, parameters=tuple(readings))])
    assert (shown.ledger, shown.layers) == ("", ("c", "b", "a"))
    assert shown.decades(0) == pytest.approx((0.0, -math.inf, -3.0))


def test_a_thousand_layers_are_read_in_time():
    report = sick(1000, steps=2)  # 1,000 parameters too: looked up for every layer they would take seconds
    assert len(flow(report.frames).layers) == 1000
