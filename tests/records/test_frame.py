import math

import pytest

from tests.reference.records import chain, frame, reading


def test_norm_is_that_of_everything_together():
    assert frame(0, parameters=(reading("a", 3.0), reading("b", 4.0), reading("c", None))).norm == 5.0
    assert frame(0, parameters=()).norm is None


@pytest.mark.parametrize(
    ("update", "skipped", "moved"),
    [(1e-3, False, True), (0.0, False, False), (None, False, False), (1e-3, True, False)],
)
def test_moved(update, skipped, moved):
    assert frame(0, parameters=(reading("a", update=update),), skipped=skipped).moved is moved


def test_ledger_sums_and_head():
    ledger = chain(-1.0, -2.0, linear=-0.5)
    assert ledger.decades == pytest.approx(-4.0)
    assert ledger.by_family() == {"loss": 0.0, "linear": -1.0, "activation": -3.0}
    assert ledger.body == ledger.segments[1:]


def test_dead_path_adds_up_to_minus_infinity():
    assert chain(-1.0, -math.inf).decades == -math.inf
