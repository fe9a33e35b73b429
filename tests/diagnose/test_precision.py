"""GW701: how much of a finding is the number format's."""

import math

import pytest

from lightning_gradwatch.diagnose import explain, rule
from lightning_gradwatch.records import Anatomy
from tests.records.test_formats import stored
from tests.reference.records import FINDING, chain, frame

NOTHING = -math.inf


def causes(ledger):
    return explain(FINDING, frame(0, ledger), Anatomy())


@pytest.mark.parametrize(
    ("ledger", "first"),
    [
        (stored(chain(-0.2, NOTHING, 0.0), start=-6.0), "GW701"),
        (stored(chain(*[-0.6] * 4, NOTHING, 0.0), start=-3.5), "GW701"),
        (stored(chain(*[-0.6] * 7, NOTHING, 0.0), start=-1.7), "GW101"),
        (stored(chain(*[-0.6] * 7, NOTHING, 0.0), start=-1.7, scale=16.0), "GW101"),
        (stored(chain(*[-0.6] * 7), "bfloat16", start=-1.7), "GW101"),
        (stored(chain(*[-0.6] * 9, NOTHING, 0.0), "float32", start=-32.0), "GW701"),
    ],
    ids=["small loss", "small loss and sigmoids", "sigmoids", "sigmoids, scaled", "bfloat16", "float32"],
)
def test_first_cause(ledger, first):
    found = causes(ledger)
    assert found[0].code == first
    assert math.fsum(cause.share for cause in found) == pytest.approx(1.0)


def test_shares_are_decades():
    """Of float16's 7.2 decades the loss and its mean took 4.7, and four sigmoids 2.4."""
    found = {cause.code: cause for cause in causes(stored(chain(*[-0.6] * 4, NOTHING, 0.0), start=-3.5))}
    room = -3.5 - 1.0 - 2.4 + 24 * math.log10(2)
    taken = 24 * math.log10(2) - 2.4 - room
    assert found["GW701"].share == pytest.approx(taken / (taken + 2.4))


def test_one_that_the_network_faded_is_not_the_format_s():
    answer = rule("GW701").check(stored(chain(*[-0.6] * 9, NOTHING, 0.0), start=-0.5), frame(0))
    assert not answer.holds


@pytest.mark.parametrize(
    ("start", "scale", "words"),
    [
        (-6.0, 1.0, "the gradient enters the network at 1.0e-07 an element: 0.2 of its 7.2 decades"),
        (-1.0, 1e-5, "at 1.0e-07 an element, at a loss scale of 1e-05: 0.2 of its 7.2 decades are left"),
    ],
    ids=["no scaler", "collapsed scale"],
)
def test_sentence(start, scale, words):
    assert words in causes(stored(chain(-0.2, NOTHING, 0.0), start=start, scale=scale))[0].sentence
