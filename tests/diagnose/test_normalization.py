import math
from dataclasses import replace

import pytest

from tests.diagnose.made import XAVIER, answer, causes, found, layer, net, op
from tests.diagnose.test_gains import residual
from tests.reference.records import chain, frame, segment

UP, DOWN = found("exploding", "exploding:loss"), found("vanishing", "vanishing:loss")
NORM = layer("norm", 0.0, "LayerNorm", "norm")


def test_missing_takes_a_part_and_never_the_first_place():
    ledger = chain(*[0.0] * 20, linear=0.5)
    told = answer("GW401", UP, frame(3, ledger), net(20, 4 * XAVIER))
    assert told.weight == pytest.approx(0.3 * 20 * 0.5)
    assert [*causes(UP, frame(3, ledger), net(20, 4 * XAVIER))][:2] == ["GW302", "GW401"]


def test_not_missing_where_there_is_one_or_the_network_is_shallow():
    ledger = chain(*[0.0] * 20, linear=0.5)
    assert not answer("GW401", UP, frame(3, ledger), net(20, 4 * XAVIER, NORM)).holds
    assert not answer("GW401", UP, frame(3, chain(0.0, 0.0, linear=2.5)), net(3, 1.0)).holds
    assert answer("GW401", found("exploding"), frame(3)) is None


def post_ln(lost):
    return residual(24, 0.0, segment("block.norm", lost, "NativeLayerNorm", "norm"))


def test_after_the_sum():
    told = answer("GW402", DOWN, frame(3, post_ln(-0.2)))
    assert told.weight == pytest.approx(4.8)
    assert causes(DOWN, frame(3, post_ln(-0.2))) == {"GW402": 1.0}


def test_a_normalisation_that_takes_back_what_weights_gained():
    plain = chain(*[0.0] * 10, linear=0.4)
    norms = tuple(segment(f"bn{i}", -0.4, "NativeBatchNorm", "norm") for i in range(10))
    assert not answer("GW402", DOWN, frame(3, replace(plain, segments=(*plain.segments, *norms)))).holds
    assert answer("GW402", found("vanishing", "vanishing_in_time:loss:rnn"), frame(3)) is None


def norms(rows, operation="NativeBatchNorm"):
    return (op("bn", operation, family="norm", rows=rows),)


def test_a_batch_of_two():
    ledger = post_ln(-1.0)
    told = answer("GW403", DOWN, frame(3, ledger, operations=norms(2)))
    assert told.weight == pytest.approx(24.0)
    assert "over 2 values (at bn)" in told.sentence
    assert causes(DOWN, frame(3, ledger, operations=norms(2))) == {"GW403": 1.0}


def test_a_batch_of_two_that_lets_nothing_through():
    dead = chain(0.0, 0.0)
    stop = segment("net.1", -math.inf, "NativeBatchNorm", "norm")
    one = frame(3, replace(dead, segments=(*dead.segments[:3], stop, *dead.segments[3:])), operations=norms(2))
    assert answer("GW403", DOWN, one).weight == 8.0


@pytest.mark.parametrize("operations", [norms(64), norms(2, "NativeLayerNorm")], ids=["many", "of features"])
def test_enough_values(operations):
    assert not answer("GW403", DOWN, frame(3, post_ln(-1.0), operations=operations)).holds


def test_the_number_of_values_is_not_known():
    assert answer("GW403", DOWN, frame(3, post_ln(-1.0))) is None
    assert answer("GW403", found("stalled"), frame(3, operations=(op("net.0", slope=0.1),))) is None


def test_a_fit_that_stalls_on_pairs():
    assert answer("GW403", found("stalled"), frame(3, operations=norms(2))).holds
