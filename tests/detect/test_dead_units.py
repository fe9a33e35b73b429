import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.records import OperationReading
from tests.reference.records import chain, frame

STANDS, FALLS = [2.3] * 12, [2.3 - 0.15 * i for i in range(12)]


def relu(layer, silent, window=4, operation="Relu", **fields):
    return OperationReading(
        layer=layer,
        operation=operation,
        family="activation",
        dead=silent,
        silent=silent,
        window=window,
        units=64,
        **fields,
    )


def findings(*operations, losses=STANDS):
    judge = Judge()
    for step, loss in enumerate(losses):
        judge.judge(frame(5 * step, loss=loss, operations=operations, rates=(0.1,)))
    return judge.findings


def test_one_finding_for_all_layers_the_worst_first():
    [finding] = findings(relu("a", 0.6), relu("b", 1.0), relu("c", 0.1))
    assert (finding.kind, finding.severity, finding.layers) == ("dead_units", "critical", ("b", "a"))
    assert {e.name: e.value for e in finding.evidence}["dead units"] == 1.0


@pytest.mark.parametrize(
    ("share", "losses", "severity"),
    [
        (0.6, STANDS, "warning"),
        (0.6, FALLS, "info"),
        (0.8, FALLS, "warning"),
        (0.95, FALLS, "warning"),
        (0.95, STANDS, "critical"),
    ],
    ids=["half, stands", "half, learns", "most, learns", "nearly all, learns", "nearly all, stands"],
)
def test_severity_follows_harm(share, losses, severity):
    assert findings(relu("a", share), losses=losses)[0].severity == severity


@pytest.mark.parametrize(
    "operation",
    [relu("a", 0.2), relu("a", 0.9, window=1), relu("a", 1.0, gates=True), relu("a", 1.0, operation="Sigmoid")],
    ids=["few", "one batch", "a gate", "not a rectifier"],
)
def test_silent(operation):
    assert findings(operation) == ()


def test_what_starves_behind_dead_units_is_folded_into_them():
    judge = Judge()
    for step in range(8):
        judge.judge(frame(step, chain(*[-1.0] * 8), operations=(relu("net.3", 0.97),), rates=(0.1,)))
    [finding] = [one for one in judge.findings if not one.resolved]
    assert finding.kind == "dead_units"
    assert [sentence.partition(":")[0] for sentence in finding.consequences] == ["vanishing"]
