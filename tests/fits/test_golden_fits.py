"""Twenty layers on real digits, 60 steps of Adam: the verdicts that the whole product hangs on."""

import pytest

from lightning_gradwatch import GradWatch
from lightning_gradwatch.cases import CASES, fit
from tests.callbacks.fits import both_namespaces

EXPECTED = {
    "sigmoid-default": ("vanishing", "activation"),
    "tanh-small": ("vanishing", "initialization"),
    "relu-default": ("vanishing", "initialization"),
    "relu-he": None,
    "relu-he-batchnorm": None,
}


@both_namespaces
@pytest.mark.parametrize(("name", "expected"), EXPECTED.items(), ids=EXPECTED.keys())
def test_verdict(name, expected, namespace):
    watch = GradWatch(strict=True)
    fit(CASES[name], 60, callbacks=[watch], namespace=namespace)
    if expected is None:
        assert watch.report.findings == ()
        return
    [finding] = watch.report.findings
    assert (finding.kind, finding.causes[0].kind) == expected
    assert finding.layers[0] == "network.0"
    assert finding.first_step == 0
    if name == "relu-default":
        assert "He" in finding.remedies[0].title
