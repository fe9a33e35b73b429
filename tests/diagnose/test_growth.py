from dataclasses import replace

import pytest

from tests.diagnose.made import XAVIER, answer, causes, found, layer, net
from tests.diagnose.test_gains import residual
from tests.reference.records import chain, frame, segment

UP, DOWN = found("exploding", "exploding:loss"), found("vanishing", "vanishing:loss")


def test_many_small_gains():
    told = answer("GW202", UP, frame(3, chain(*[0.0] * 100, linear=0.05)))
    assert told.weight == pytest.approx(5.0)
    assert told.sentence == "101 layers multiply the gradient by 1.1 each"


def test_no_small_gains():
    assert not answer("GW202", UP, frame(3, residual(30, 0.15))).holds
    assert answer("GW202", found("exploding"), frame(3)) is None


def test_depth_or_weights():
    normed = (layer("norm", 0.0, "LayerNorm", "norm"),)
    small = causes(UP, frame(3, chain(*[0.0] * 100, linear=0.06)), net(100, XAVIER, *normed))
    large = causes(UP, frame(3, chain(*[0.0] * 10, linear=0.6)), net(10, 4 * XAVIER, *normed))
    assert next(iter(small)) == "GW202"
    assert next(iter(large)) == "GW302"
    assert large["GW302"] > 0.9


def test_residual_sums_that_double():
    told = answer("GW203", UP, frame(3, residual(40, 0.15)))
    assert told.weight == pytest.approx(6.0)
    assert told.sentence == "40 residual blocks multiply the gradient by 1.4 each"
    assert causes(UP, frame(3, residual(40, 0.15))) == {"GW203": 1.0}


def test_sums_that_are_scaled_down():
    halved = residual(20, 0.05, segment("block", -0.3, "Div", "other"))
    told = answer("GW203", DOWN, frame(3, halved))
    assert told.weight == pytest.approx(20 * 0.25)
    assert causes(DOWN, frame(3, halved)) == {"GW203": 1.0}


def test_a_scale_without_a_sum_is_depth():
    plain = chain(0.0)
    scaled = replace(plain, segments=(*plain.segments, *[segment("a", -0.3, "Div", "other")] * 20))
    assert not answer("GW203", DOWN, frame(3, scaled)).holds
    assert next(iter(causes(DOWN, frame(3, scaled)))) == "GW201"


def test_sums_that_keep_the_size():
    assert not answer("GW203", UP, frame(3, residual(40, 0.0))).holds
    assert not answer("GW203", DOWN, frame(3, residual(40, 0.0))).holds
    assert answer("GW203", found("exploding"), frame(3)) is None
