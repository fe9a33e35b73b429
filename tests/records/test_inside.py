import math

import pytest

from lightning_gradwatch.records import Ledger
from lightning_gradwatch.records.flow import flow_by_layer, flow_in
from tests.reference.records import frame, reading, segment

KINDS = ("compiled regions",)


def ledger(segments=(), target="c", **fields):
    end = math.fsum(s.decades for s in segments)
    return Ledger(
        name="loss", target=f"{target}.weight", target_layer=target, segments=tuple(segments), start=0.0, end=end,
        closed=KINDS, **fields,
    )  # fmt: skip


def weights(**norms):
    """Readings of weights with 4 inputs and 2 outputs."""
    return tuple(reading(f"{layer}.weight", norm, size=8, fan=4) for layer, norm in norms.items())


def test_an_open_graph_needs_no_parameters():
    plain = Ledger(name="loss", target="a.weight", target_layer="a", segments=(segment("b", -2.0),), start=0, end=-2.0)
    assert flow_in(frame(0, plain), plain) == flow_by_layer(plain) == {"b": 0.0, "a": -2.0}


def test_layers_below_the_end_are_told_by_their_weights():
    one = ledger(below=("c", "b", "a"))
    flow = flow_in(frame(0, one, parameters=weights(c=1.0, b=1e-3, a=1e-7)), one)
    assert flow == pytest.approx({"c": 0.0, "b": -3.0, "a": -7.0})
    assert list(flow) == ["c", "b", "a"]


def test_the_larger_of_weight_and_bias_counts():
    """A bias before a normalisation gets nothing; behind small weights the weight's gradient is too small."""
    one = ledger(below=("c", "b", "a"))
    biases = (reading("c.bias", 0.4), reading("b.bias", 0.0), reading("a.bias", 4e-6))
    flow = flow_in(frame(0, one, parameters=(*weights(c=1e-4, b=0.8, a=1e-30), *biases)), one)
    assert flow == pytest.approx({"c": 0.0, "b": 0.0, "a": -5.0}, abs=1e-9)


def test_rows_of_a_table_have_one_input():
    one = ledger(below=("c", "a"))
    table = reading("a.weight", 0.5, size=400, fan=4)
    looked_up = reading("a.weight", 0.5, size=400, fan=4).__class__(**{**table.__dict__, "zeros": 0.9})
    head = weights(c=1.0)
    assert flow_in(frame(0, one, parameters=(*head, table)), one)["a"] == pytest.approx(math.log10(0.5))
    assert flow_in(frame(0, one, parameters=(*head, looked_up)), one)["a"] == pytest.approx(0.0)


def test_what_arrives_further_down_has_passed():
    """A branch behind a small scale, or an exact zero of a gate that sleeps, starves nobody below it."""
    one = ledger(below=("c", "branch", "gate", "a"))
    flow = flow_in(frame(0, one, parameters=weights(c=1.0, branch=1e-6, gate=0.0, a=0.1)), one)
    assert flow == pytest.approx({"c": 0.0, "branch": -1.0, "gate": -1.0, "a": -1.0})


def test_zeros_to_the_end_are_zeros():
    one = ledger(below=("c", "b", "a"))
    assert flow_in(frame(0, one, parameters=weights(c=1.0, b=1e-5, a=0.0)), one)["a"] == -math.inf


def test_an_opaque_segment_lies_between_two_exact_levels():
    stretch = segment("blocks", -6.0, "CompiledFunction", "opaque", modules=("y", "x"))
    one = ledger([segment("head", -1.0), stretch], target="c", below=("c",))
    flow = flow_in(frame(0, one, parameters=weights(head=1.0, y=1.0, x=1e-9, c=1e-9)), one)
    assert flow == pytest.approx({"head": 0.0, "y": -1.0, "x": -7.0, "c": -7.0})  # x gets at least what leaves


def test_layers_that_nobody_can_place_are_beside_the_head():
    one = ledger([segment("head", -1.0)], target="stem", unplaced=("b", "a", "stem"))
    flow = flow_in(frame(0, one, parameters=weights(head=1.0, b=1e-2, a=1e-4, stem=1e-9)), one)
    assert flow == pytest.approx({"head": 0.0, "stem": -1.0, "b": -1.0, "a": -1.0})  # the stem is exact, and behind


def test_a_temperature_is_no_measure():
    """The first that has a matrix is the head: a lone scale may get any gradient."""
    one = ledger(below=("temperature", "c", "a"), target="temperature")
    parameters = (reading("temperature.scale", 1e6), *weights(c=1.0, a=0.1))
    assert flow_in(frame(0, one, parameters=parameters), one)["a"] == pytest.approx(-1.0)


@pytest.mark.parametrize("head", [None, 0.0, math.inf, math.nan])
def test_nothing_is_told_beside_a_head_that_tells_nothing(head):
    one = ledger(below=("c", "a"))
    parameters = (reading("c.weight", head, size=8, fan=4), *weights(a=1.0))
    assert set(flow_in(frame(0, one, parameters=parameters), one).values()) <= {0.0}
