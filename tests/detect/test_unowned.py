from lightning_gradwatch.detect import Judge
from lightning_gradwatch.records import OptimizerReading
from tests.reference.records import frame, reading


def findings(unowned, owned=2, steps=4, strangers=0):
    judge = Judge()
    optimizer = OptimizerReading(index=0, name="", norm=1.0, strangers=strangers)
    for step in range(steps):
        parameters = tuple(reading(f"head.{i}") for i in range(owned))
        judge.judge(frame(step, parameters=parameters, unowned=unowned, rates=(0.1,), optimizers=(optimizer,)))
    return judge.findings


def test_an_optimizer_of_the_head_alone():
    [finding] = findings(("net.0.weight", "net.0.bias", "net.1.weight"))
    assert (finding.kind, finding.severity, finding.layers) == ("disconnected", "warning", ("net.0", "net.1"))
    assert finding.evidence[1].value == 0.6


def test_a_layer_that_was_left_out_is_an_information():
    [finding] = findings(("net.0.weight",), owned=5)
    assert finding.severity == "info"


def test_an_optimizer_that_keeps_old_parameters_instead():
    [finding] = findings(("net.0.weight",), owned=5, strangers=2)
    assert (finding.severity, finding.summary.endswith("; 2 that they have belong to no module")) == ("warning", True)


def test_an_optimizer_that_has_none_of_them():
    assert findings(("net.0.weight",), owned=0)[0].severity == "warning"


def test_silent_where_all_are_owned_or_too_soon():
    assert findings(()) == ()
    assert findings(("net.0.weight",), steps=2) == ()
