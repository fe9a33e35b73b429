"""A stretch of a fit in one robust number each."""

from __future__ import annotations

import math

import pytest

from lightning_gradwatch.verify.window import window
from tests.verify.steps import ledger, one, pulses


def test_by_hand():
    seen = window(
        pulses(range(5), flow=lambda s: -8.0 - s, loss=lambda s: 3.0 - 0.5 * s, norm=lambda s: 10.0**-s), "loss"
    )
    assert (seen.step, seen.flow, seen.loss, seen.loss_slope) == (2.0, -10.0, 2.0, -0.5)
    assert seen.flow_spread == pytest.approx(1.4826)
    assert (seen.loss_noise, seen.norm_noise) == (0.0, pytest.approx(0.0))  # straight lines have none


def test_the_flow_is_that_of_the_layer_farthest_from_the_head():
    assert window([one(0, flow=-8.0)], "loss").flow == -8.0
    assert window([one(0, flow=5.0)], "loss").flow == 5.0


def test_the_named_ledger_counts_else_the_worst():
    both = [one(0, ledgers=(ledger(-2.0, "loss"), ledger(-6.0, "loss[1]")))]
    assert [window(both, name).flow for name in ("loss", "loss[1]", "", "gone")] == [-2.0, -6.0, -6.0, -6.0]


def test_what_was_not_measured_is_none():
    seen = window(pulses(range(4), flow=None, loss=None, norm=None), "loss")
    assert (seen.flow, seen.loss, seen.loss_noise, seen.loss_slope, seen.norm_noise) == (None,) * 5


@pytest.mark.parametrize("wild", [math.nan, math.inf], ids=str)
def test_a_loss_that_is_broken_half_of_the_time_is_broken(wild):
    once = window(pulses(range(4), loss=lambda s: wild if s == 2 else 2.0), "loss")
    twice = window(pulses(range(4), loss=lambda s: wild if s % 2 else 2.0), "loss")
    assert (once.loss, twice.loss) == (2.0, math.inf)


def test_norms_without_a_logarithm_are_left_out():
    norms = {1: 0.0, 3: math.inf, 5: math.nan}
    seen = window(pulses(range(8), norm=lambda s: norms.get(s, 10.0)), "loss")
    assert seen.norm_noise == 0.0


def test_a_few_points_have_no_noise_that_could_be_told():
    assert window(pulses(range(3), loss=lambda s: s % 2), "loss").loss_noise is None
    assert window(pulses(range(4), loss=lambda s: s % 2), "loss").loss_noise > 0
