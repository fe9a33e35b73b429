import pytest

from lightning_gradwatch.records import profile
from tests.reference.records import chain, frame, reading


def test_rows_from_head_to_target():
    ledger = chain(-1.0, -2.0, -3.0, linear=-0.5)
    parameters = (reading("net.0.weight", 3.0, 9), reading("net.0.bias", 100.0), reading("head.weight", None))
    rows = profile(frame(0, ledger, parameters=parameters), ledger)
    assert [row.layer for row in rows] == ["head", "net.2", "net.1", "net.0"]
    assert [row.flow for row in rows] == pytest.approx([0.0, -1.5, -4.0, -7.5])
    assert [row.activation for row in rows] == [0.0, -1.0, -2.0, -3.0]
    assert [row.linear for row in rows] == [-0.5, -0.5, -0.5, 0.0]
    assert [row.own for row in rows] == pytest.approx([-0.5, -1.5, -2.5, -3.0])
    assert [row.rms for row in rows] == [None, None, None, 1.0]  # the bias does not count where there is a weight
    assert rows[-1].update == 1e-3
    assert rows[1].slope == 0.5


def test_target_without_an_activation_has_a_row():
    ledger = chain(-1.0, -2.0)
    short = type(ledger)(**{**vars(ledger), "segments": ledger.segments[:-1]})
    assert [row.layer for row in profile(frame(0), short)] == ["head", "net.1", "net.0"]
