import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.records import OperationReading, TimeProfile
from lightning_gradwatch.records.gates import OPERATION, reckoned
from tests.reference.records import chain, frame


def gate(share, steps=9):
    return OperationReading(layer="rnn", operation=OPERATION, family="gate", slope=share, rows=steps, gates=True)


def test_a_share_of_a_hundredth_a_step_loses_two_decades_a_step():
    [profile] = reckoned(frame(0, chain(0.0), operations=(gate(0.01),)))
    assert (profile.layer, profile.steps, profile.lost) == ("rnn", 9, pytest.approx(16.0))


@pytest.mark.parametrize(
    "fields",
    [
        {"operations": (gate(0.5),)},
        {"operations": (gate(0.01, steps=1),)},
        {
            "operations": (gate(0.01),),
            "times": (TimeProfile(ledger="loss", layer="rnn", decades=(0.0, 0.0), steps=2),),
        },
        {},
    ],
    ids=["as torch begins", "one step", "its steps are seen", "none"],
)
def test_silent(fields):
    assert reckoned(frame(0, **fields)) == ()


def test_shut_gates_are_a_finding_where_the_loss_stands():
    judge = Judge()
    for step in range(20):
        judge.judge(frame(3 * step, chain(0.0), operations=(gate(0.001),), loss=2.3, rates=(0.1,)))
    [finding] = judge.findings
    assert (finding.kind, finding.severity, finding.layers) == ("vanishing", "critical", ("rnn",))
