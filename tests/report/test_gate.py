"""A report held against a bar."""

import json
import math

import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import Severity
from lightning_gradwatch.report import Report
from lightning_gradwatch.report.gate import TOLERANCE, Gate, baseline, baseline_of, baseline_text
from tests.report.samples import chain, frame, healthy, ledger, vanishing

INF, NAN = float("inf"), float("nan")


def lossy(each, names=("a", "b", "c"), name="loss", findings=()):
    """A report on layers that lose so many decades each."""
    return Report(frames=(frame(0, ledger(list(names), 0.0, -each, name=name)),), findings=findings)


def finding(severity, **more):
    return vanishing(["a"], severity=severity, **more)


BARS = {
    "nothing": ((), "warning", True),
    "a remark": ((finding(Severity.INFO),), "warning", True),
    "a remark where remarks fail": ((finding(Severity.INFO),), "info", False),
    "a warning": ((finding(Severity.WARNING),), "warning", False),
    "a warning where only the worst fails": ((finding(Severity.WARNING),), "critical", True),
    "the worst": ((finding(Severity.CRITICAL),), "critical", False),
    "healed": ((finding(Severity.CRITICAL, resolved=True),), "info", True),
}


@pytest.mark.parametrize(("findings", "least", "passes"), BARS.values(), ids=BARS)
def test_the_bar_is_a_severity(findings, least, passes):
    gate = Gate(Report(findings=findings), Severity(least))
    assert gate.passes is passes
    assert bool(gate.failing) is not passes


@pytest.mark.parametrize(("then", "now", "worse"), [(1, 1, 0), (1, 1.2, 0), (1, 1.3, 1), (1, 0.2, 0), (1, 40, 1)])
def test_layers_may_not_lose_more_than_recorded(then, now, worse):
    """Over two layers: 0.4 decades more are within the tolerance, 0.6 are not; better is never worse."""
    gate = Gate(lossy(now), recorded=baseline(lossy(then)))
    assert len(gate.worse) == worse
    assert gate.passes is not worse
    assert 2 * 0.2 < TOLERANCE < 2 * 0.3


def test_the_sentence_names_the_layer_that_lost_most():
    [sentence] = Gate(lossy(2), recorded=baseline(lossy(1))).worse
    assert sentence == (
        "a gets 1.0e-4 of the head's gradient (loss), where it got 1 % of it when the baseline was recorded: "
        "2.0 decades less"
    )


def test_layers_by_other_names_are_held_against_the_least_of_before():
    renamed = lossy(2, names=("x", "y", "z"))
    [sentence] = Gate(renamed, recorded=baseline(lossy(1))).worse
    assert sentence.startswith("x gets 1.0e-4 of the head's gradient")
    assert Gate(lossy(1, names=("x", "y", "z")), recorded=baseline(lossy(1))).passes


EDGES = {
    "dies": (0.0, INF, 1),
    "was dead": (INF, INF, 0),
    "lives again": (INF, 1.0, 0),
    "is broken": (1.0, NAN, 1),
    "was broken": (NAN, NAN, 0),
}


@pytest.mark.parametrize(("then", "now", "worse"), EDGES.values(), ids=EDGES)
def test_gradients_that_die_or_break(then, now, worse):
    assert len(Gate(lossy(now), recorded=baseline(lossy(then))).worse) == worse


def test_a_loss_that_is_gone_is_worse():
    gate = Gate(lossy(1, name="loss[1]"), recorded=baseline(lossy(1)))
    assert gate.worse == ("no gradient flow of loss was measured, which the baseline has",)


FINDINGS = {
    "as recorded": (Severity.WARNING, Severity.WARNING, 0),
    "milder": (Severity.CRITICAL, Severity.WARNING, 0),
    "severer": (Severity.WARNING, Severity.CRITICAL, 1),
    "new": (None, Severity.WARNING, 1),
    "new, too mild to fail": (None, Severity.INFO, 0),
}


@pytest.mark.parametrize(("then", "now", "worse"), FINDINGS.values(), ids=FINDINGS)
def test_findings_may_not_become_severer(then, now, worse):
    before = lossy(1, findings=() if then is None else (finding(then),))
    gate = Gate(lossy(1, findings=(finding(now),)), recorded=baseline(before))
    assert len(gate.worse) == len(gate.failing) == worse
    assert all("when the baseline was recorded" in sentence for sentence in gate.worse)


def test_a_baseline_is_of_what_stands_before_the_first_step():
    report = Report(name="Net", frames=(frame(0, ledger(chain(3), 0.0, -1.0)), frame(1, ledger(chain(3), 0.0, -5.0))))
    recorded = baseline(report)
    assert recorded.flow == {"loss": {"net.4": 0.0, "net.2": -1.0, "net.0": -2.0}}
    assert recorded.name == "Net"
    assert baseline(Report()).flow == {}


@pytest.mark.parametrize("report", [healthy(), lossy(INF, findings=(finding(Severity.CRITICAL),))], ids=["well", "ill"])
def test_a_baseline_survives_its_file(report):
    text = baseline_text(baseline(report))
    assert baseline_of(text) == baseline(report)
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert all(map(math.isfinite, [TOLERANCE]))


DAMAGED = {
    "no JSON": ("{", r"x: not JSON"),
    "a list": ("[]", "x: this is not a baseline of lightning-gradwatch"),
    "a report": (json.dumps(Report().to_dict()), "x: this is not a baseline of lightning-gradwatch"),
    "from the future": ('{"format":99,"kind":"gradwatch baseline"}', "x: format 99 is newer"),
    "a wrong level": (
        '{"format":1,"kind":"gradwatch baseline","findings":{"a":"awful"}}',
        "expected one of info, warning, critical",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), DAMAGED.values(), ids=DAMAGED)
def test_a_file_that_is_no_baseline_is_a_sentence(text, sentence):
    with pytest.raises(UnreadableRecord, match=sentence):
        baseline_of(text, "x")
