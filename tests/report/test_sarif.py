"""SARIF 2.1.0: what its schema requires is there."""

import json

import pytest

from lightning_gradwatch.records import Kind, Severity
from lightning_gradwatch.report import Report
from lightning_gradwatch.report.gate import Gate, baseline
from lightning_gradwatch.report.sarif import sarif
from tests.report.samples import HOSTILE, healthy, sick, vanishing

# "required" and the closed lists of the schema, of the objects that are written.
LEVELS = {"none", "note", "warning", "error"}
STATES = {"new", "unchanged", "updated", "absent"}


def check(log):
    """Hold a log against the schema's rules for the objects in it."""
    assert log == json.loads(json.dumps(log, allow_nan=False))
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "gradwatch"
    rules = [rule["id"] for rule in driver["rules"]]
    assert len(rules) == len(set(rules))
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    for result in run["results"]:
        assert result["ruleId"] in rules
        assert result["level"] in LEVELS
        assert result["message"]["text"]
        assert result.get("baselineState", "new") in STATES
        for place in result["locations"]:
            assert place.keys() <= {"physicalLocation", "logicalLocations"}
            assert all(one["fullyQualifiedName"] for one in place.get("logicalLocations", []))
    return run["results"]


REPORTS = {
    "empty": Report(),
    "healthy": healthy(),
    "sick": sick(),
    "hostile": Report(name=HOSTILE, findings=(vanishing([HOSTILE], summary=HOSTILE),)),
}


@pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)
@pytest.mark.parametrize("place", [None, ("net.py", 3)], ids=["nowhere", "somewhere"])
def test_every_log_keeps_the_schema(report, place):
    check(sarif(Gate(report), "1.0", place))
    check(sarif(Gate(report, recorded=baseline(healthy())), "1.0", place))


def test_a_result_tells_what_why_and_what_to_do():
    [result] = check(sarif(Gate(sick()), "1.0", ("net.py", 3)))
    finding = sick().findings[0]
    assert result["ruleId"] == "vanishing"
    assert result["level"] == "error"
    text = result["message"]["text"]
    assert finding.summary in text
    assert finding.causes[0].code in text
    assert finding.remedies[0].advice in text
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "net.py"},
        "region": {"startLine": 3},
    }
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == finding.layers[0]


@pytest.mark.parametrize(("severity", "level"), [("info", "note"), ("warning", "warning"), ("critical", "error")])
def test_levels(severity, level):
    report = Report(findings=(vanishing(["a"], severity=Severity(severity)),))
    assert [result["level"] for result in check(sarif(Gate(report), "1.0"))] == [level]


def test_healed_findings_are_not_told():
    assert check(sarif(Gate(Report(findings=(vanishing(["a"], resolved=True),))), "1.0")) == []


def test_states_beside_a_baseline():
    same, severer = vanishing(["a"], id="same"), vanishing(["a"], id="severer")
    milder = vanishing(["a"], id="severer", severity=Severity.WARNING)
    new = vanishing(["a"], id="new", kind=Kind.NONFINITE)
    gate = Gate(Report(findings=(same, severer, new)), recorded=baseline(Report(findings=(same, milder))))
    results = check(sarif(gate, "1.0"))
    states = {result["partialFingerprints"]["gradwatch/v1"]: result.get("baselineState") for result in results[:3]}
    assert states == {":same": "unchanged", ":severer": "updated", ":new": "new"}
    assert [result["ruleId"] for result in results[3:]] == ["worse-than-baseline"] * 2
