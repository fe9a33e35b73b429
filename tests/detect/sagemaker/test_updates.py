import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.sagemaker.updates import LARGE, SMALL, WeightUpdateRatio
from tests.reference.records import frame, reading


def findings(*updates, rates=(0.1,), **fields):
    parameters = [reading(f"net.{i}.weight", update=update, fan=4) for i, update in enumerate(updates)]
    judge = Judge([WeightUpdateRatio()])
    judge.judge(frame(0, parameters=(*parameters, reading("net.9.bias", update=0.0)), rates=rates, **fields))
    return judge.findings


def test_too_small_is_stalled():
    [finding] = findings(1e-3, SMALL / 2, 0.0)
    assert (finding.id, finding.kind) == ("sagemaker:WeightUpdateRatio.small", "stalled")
    assert finding.layers == ("net.2", "net.1")
    assert finding.summary == "WeightUpdateRatio: net.2.weight was changed by 0.0e+00 of itself in one step"


def test_too_large_is_exploding():
    [finding] = findings(1e-3, LARGE * 2, LARGE * 5)
    assert (finding.id, finding.kind) == ("sagemaker:WeightUpdateRatio.large", "exploding")
    assert (finding.layers, finding.evidence[0].value) == (("net.2", "net.1"), LARGE * 5)


def test_both_at_once():
    assert len(findings(LARGE * 2, SMALL / 2)) == 2


@pytest.mark.parametrize("updates", [(SMALL, LARGE), (None,), (1e-3, 1e-2)])
def test_silent(updates):
    assert findings(*updates) == ()


@pytest.mark.parametrize("fields", [{"rates": (0.0,)}, {"skipped": True}], ids=["a rate of 0", "skipped"])
def test_steps_that_were_not_to_move_anything_are_not_asked(fields):
    assert findings(0.0, **fields) == ()
