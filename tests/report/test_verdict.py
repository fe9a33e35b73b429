import dataclasses
import math

import pytest

from lightning_gradwatch.records import Kind, Severity
from lightning_gradwatch.report import Report
from lightning_gradwatch.report.verdict import NO_GRADIENT, NOTHING, measured, name_of, total_layers, verdict
from tests.report.samples import frame, healthy, ledger, sick, vanishing

REMARK = vanishing(["net.0"], severity=Severity.INFO)
GONE = vanishing(["net.0"], resolved=True, resolved_step=2)
UNROLLED = frame(0, names=["a"])
SILENT = frame(0, dataclasses.replace(ledger(["a", "b"]), end=-math.inf), names=["a"], norm=0.0)
STARVED = frame(0, ledger(["a", "b"], activation=-5.0))

VERDICTS = {
    "nothing": (Report(), NOTHING),
    "healthy": (
        healthy(2, 1),
        "Healthy: nothing is wrong now. All of the head's gradient reaches net.0 (step 0).",
    ),
    "sick": (
        sick(20, 1),
        "VANISHING gradient (critical) since step 0. 7.9e-18 of the head's gradient reaches net.0 (step 0).",
    ),
    "resolved": (
        healthy(2, 1, findings=(GONE,)),
        "Healthy: nothing is wrong now. All of the head's gradient reaches net.0 (step 0). 1 finding came and went.",
    ),
    "a remark is no alarm": (
        Report(frames=(STARVED,), findings=(REMARK,)),
        "No alarm, though little gradient arrives. 5.6e-6 of the head's gradient reaches a (step 0). "
        "1 remark below, no alarm.",
    ),
    "an alarm and no frame": (
        Report(findings=(vanishing(["net.0"]),)),
        "VANISHING gradient (critical) since step 0.",
    ),
    "silenced": (
        healthy(2, 1, findings=(REMARK, dataclasses.replace(REMARK, id="b", ignored="by design"))),
        "Healthy: nothing is wrong now. All of the head's gradient reaches net.0 (step 0). 1 remark below, no alarm. "
        "1 finding silenced, with the reason below.",
    ),
    "no frame since": (Report(findings=(GONE,)), "No alarm, but nothing was measured. 1 finding came and went."),
    "frames without flow": (Report(frames=(UNROLLED,)), "Healthy: nothing is wrong now."),
    "frames without any gradient": (Report(frames=(frame(0),)), NO_GRADIENT),
    "a gradient of zero": (Report(frames=(SILENT,)), NO_GRADIENT),
}


@pytest.mark.parametrize(("report", "sentence"), VERDICTS.values(), ids=VERDICTS)
def test_verdict(report, sentence):
    assert verdict(report) == sentence


def test_the_severest_of_several_is_told():
    findings = (
        vanishing(["net.0"], severity=Severity.WARNING, id="a"),
        vanishing(["net.0"], kind=Kind.NONFINITE, id="nonfinite", first_step=9),
    )
    assert verdict(sick(findings=findings)).startswith("2 open findings, the worst: NON-FINITE gradient (critical)")


@pytest.mark.parametrize(
    ("steps", "said"),
    [((), "no step measured"), ((3,), "1 step measured (step 3)"), ((0, 9), "2 steps measured (steps 0 to 9)")],
    ids=["none", "one", "two"],
)
def test_measured(steps, said):
    assert measured(Report(frames=tuple(frame(step) for step in steps))) == said


@pytest.mark.parametrize(("total", "said"), [(21.0, 21), (math.inf, None), (math.nan, None)])
def test_total_layers(total, said):
    assert total_layers(vanishing(["a"], total=total)) == said


@pytest.mark.parametrize(("name", "said"), [("Net", "Net"), ("", ""), ("gradwatch", ""), ("a\nb", "a\\nb")])
def test_name_of(name, said):
    assert name_of(dataclasses.replace(healthy(), name=name)) == said
