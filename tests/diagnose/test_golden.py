"""The golden table: decades by kind of operation and the cause read from them, on real networks at initialisation.

DESIGN's table: scikit-learn's digits, 20 layers of width 64, batch of 64.
"""

import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import inspect_model, parameter_names
from lightning_gradwatch.cases.data import digits
from lightning_gradwatch.cases.networks import mlp
from lightning_gradwatch.detect import Judge
from lightning_gradwatch.diagnose import explain
from lightning_gradwatch.measure.ledger import open_ledger
from tests.reference.records import frame

# activation, init, norm -> decades by family, first cause (None: healthy)
TABLE = {
    "sigmoid, default": ("sigmoid", "default", False, {"activation": -12.3, "linear": -4.8}, "activation"),
    "sigmoid, Xavier": ("sigmoid", "xavier", False, {"activation": -12.6, "linear": 0.2}, "activation"),
    "sigmoid, N(0,1)": ("sigmoid", ("normal", 1.0), False, {"activation": -19.6, "linear": 18.0}, None),
    "tanh, N(0,0.01)": ("tanh", ("normal", 0.01), False, {"activation": -0.1, "linear": -21.8}, "initialization"),
    "tanh, Xavier": ("tanh", "xavier", False, {"activation": -0.6, "linear": 0.1}, None),
    "relu, default": ("relu", "default", False, {"activation": -2.9, "linear": -4.8}, "initialization"),
    "relu, He": ("relu", "he", False, {"activation": -2.8, "linear": 3.2}, None),
    "sigmoid, batch norm": ("sigmoid", "default", True, {"activation": -13.5, "linear": -5.1, "norm": 18.8}, None),
}


def measured(activation, init, norm):
    """Three frames of one network at initialisation, and its anatomy."""
    torch.manual_seed(0)
    model = mlp(depth=20, width=64, activation=activation, init=init, norm=norm)
    x, y = digits().tensors
    frames = []
    for step in range(3):
        batch = slice(64 * step, 64 * step + 64)
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        ledger = open_ledger(loss.grad_fn, parameter_names(model))
        loss.backward()
        ledger.close()
        frames.append(frame(step, ledger.finish([float(reading) for reading in ledger.pending()])))
    return frames, inspect_model(model)


@pytest.mark.parametrize(("activation", "init", "norm", "decades", "cause"), TABLE.values(), ids=TABLE.keys())
def test_reading(activation, init, norm, decades, cause):
    frames, anatomy = measured(activation, init, norm)
    found = frames[-1].ledgers[0].by_family()
    for family, expected in decades.items():
        assert found[family] == pytest.approx(expected, abs=1.0)
    judge = Judge()
    for one in frames:
        judge.judge(one)
    findings = judge.findings
    assert len(findings) == (cause is not None)
    if findings:
        causes = explain(findings[0], frames[-1], anatomy)
        assert causes[0].kind == cause
        assert sum(c.share for c in causes) == pytest.approx(1.0)
        assert [c.share for c in causes] == sorted((c.share for c in causes), reverse=True)


def test_shares_of_a_default_sigmoid():
    frames, anatomy = measured("sigmoid", "default", False)
    judge = Judge()
    for one in frames:
        judge.judge(one)
    shares = {c.kind.value: c.share for c in explain(judge.findings[0], frames[-1], anatomy)}
    assert shares == pytest.approx({"activation": 0.66, "initialization": 0.23, "depth": 0.12}, abs=0.03)
