"""JUnit XML: well-formed whatever the names, and the counts are right."""

from xml.etree import ElementTree

import pytest

from lightning_gradwatch.records import Kind, Severity
from lightning_gradwatch.report import Report
from lightning_gradwatch.report.gate import Gate, baseline
from lightning_gradwatch.report.junit import junit
from tests.report.samples import HOSTILE, healthy, sick, vanishing


def suite(gate):
    [found] = ElementTree.fromstring(junit(gate).encode())
    assert found.tag == "testsuite"
    assert int(found.get("tests")) == len(found.findall("testcase"))
    assert int(found.get("failures")) == len(found.findall("testcase/failure"))
    return found


REPORTS = {
    "empty": (Report(), 0),
    "healthy": (healthy(), 0),
    "sick": (sick(), 1),
    "hostile": (Report(name=HOSTILE, findings=(vanishing([HOSTILE], summary=HOSTILE + "\x00\ud800"),)), 1),
}


@pytest.mark.parametrize(("report", "failures"), REPORTS.values(), ids=REPORTS)
def test_a_case_for_every_kind(report, failures):
    found = suite(Gate(report))
    assert [case.get("name") for case in found] == [kind.value for kind in Kind]
    assert found.get("failures") == str(failures)


def test_the_failure_tells_place_cause_and_remedy():
    failure = suite(Gate(sick())).find("testcase[@name='vanishing']/failure")
    finding = sick().findings[0]
    assert failure.get("message") == finding.summary
    assert failure.get("type") == "critical"
    assert finding.causes[0].code in failure.text
    assert finding.layers[0] in failure.text
    assert "  try     1. " in failure.text


def test_what_does_not_fail_is_output():
    report = Report(findings=(vanishing(["a"], severity=Severity.INFO),))
    assert "VANISHING" in suite(Gate(report)).find("testcase[@name='vanishing']/system-out").text


def test_beside_a_baseline_there_is_a_case_of_its_own():
    known = suite(Gate(sick(), recorded=baseline(sick())))
    assert known.get("failures") == "0"
    assert known.find("testcase[@name='baseline']") is not None
    worse = suite(Gate(sick(), recorded=baseline(healthy())))
    failure = worse.find("testcase[@name='baseline']/failure")
    assert failure.get("message").startswith("worse than recorded in ")
    assert "when the baseline was recorded" in failure.text
