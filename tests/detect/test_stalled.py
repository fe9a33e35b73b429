import pytest

from lightning_gradwatch.detect import Judge
from tests.reference.records import frame, reading

STANDS = [2.3 + 0.01 * (i % 3) for i in range(20)]


def findings(update, losses=STANDS, norms=None, rates=(1e-9,), weight=None, **fields):
    judge = Judge()
    for i, loss in enumerate(losses):
        step = 3 * i
        norm = 1.0 if norms is None else norms[i]
        known = {"fan": 8, "weight": weight}
        weights = (
            reading("a.weight", norm, update=update, **known),
            reading("b.weight", norm, update=update / 2, **known),
        )
        judge.judge(frame(step, loss=loss, parameters=weights, rates=rates, **fields))
    return judge.findings


def test_weights_that_stand_beside_a_loss_that_stands():
    [finding] = findings(1e-8)
    assert (finding.kind, finding.severity) == ("stalled", "warning")
    assert finding.layers == ("b", "a")  # the stillest first
    assert {e.name: e.value for e in finding.evidence}["learning rate"] == 1e-9


def test_updates_that_round_away_altogether():
    assert findings(0.0)[0].kind == "stalled"


@pytest.mark.parametrize(
    "told",
    [
        {"update": 1e-4},
        {"update": 1e-8, "losses": [2.3 - 0.05 * i for i in range(20)]},
        {"update": 1e-8, "norms": [1.0] * 8 + [0.01] * 12},
        {"update": 1e-8, "rates": (0.0,)},
        {"update": 1e-8, "losses": STANDS[:8]},
        {"update": 1e-8, "norms": [0.0] * 20},
        {"update": 1e-8, "skipped": True},
        {"update": 1e-8, "norms": [1e-6] * 20, "weight": 0.1},
        {"update": 1e-8, "norms": [1e-6] * 20, "losses": [1e-13] * 20, "weight": 0.1},
    ],
    ids=[
        "moves",
        "tiny rate, and learns",
        "has converged",
        "rate 0",
        "too early",
        "no gradient at all",
        "skipped",
        "at its floor",
        "at zero",
    ],
)
def test_silent(told):
    assert [one for one in findings(**told) if one.kind == "stalled"] == []


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_scale_of_the_loss_changes_nothing(scale):
    losses = [scale * loss for loss in STANDS]
    assert findings(1e-8, losses=losses, norms=[scale] * 20, weight=0.1)[0].kind == "stalled"
