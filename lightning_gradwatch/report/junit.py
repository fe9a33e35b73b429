"""A gate's findings as JUnit XML, which every CI shows: one test case for each kind of sickness."""

from __future__ import annotations

from xml.etree import ElementTree

from lightning_gradwatch.records import Finding, Kind
from lightning_gradwatch.report import words
from lightning_gradwatch.report.gate import Gate
from lightning_gradwatch.report.text import finding_block


def junit(gate: Gate) -> str:
    """The XML document: a case fails that holds a finding which fails the gate; the others' findings are its output."""
    suite = ElementTree.Element("testsuite", name="gradwatch", errors="0", skipped="0")
    for kind in Kind:
        _case(suite, gate, kind)
    if gate.recorded is not None:
        case = _added(suite, gate, "baseline")
        if gate.worse:
            message = f"worse than recorded in {words.count(len(gate.worse), 'way')}"
            _text(case, "failure", "\n".join(gate.worse), message=message, type="worse")
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, gate: Gate, kind: Kind) -> None:
    case = _added(suite, gate, kind.value)
    found = [finding for finding in gate.open if finding.kind is kind]
    failing = [finding for finding in found if finding in gate.failing]
    if failing:
        _text(case, "failure", _told(failing), message=failing[0].summary, type=str(failing[0].severity))
    if others := [finding for finding in found if finding not in failing]:
        _text(case, "system-out", _told(others))


def _added(suite: ElementTree.Element, gate: Gate, name: str) -> ElementTree.Element:
    classname = f"gradwatch.{words.plain(gate.report.name) or 'network'}"
    return ElementTree.SubElement(suite, "testcase", classname=classname, name=name)


def _text(case: ElementTree.Element, tag: str, text: str, **attributes: str) -> None:
    plain = {key: words.plain(value) for key, value in attributes.items()}
    ElementTree.SubElement(case, tag, plain).text = "\n".join(map(words.plain, text.splitlines()))


def _told(findings: list[Finding]) -> str:
    return "\n\n".join(finding_block(finding, full=True) for finding in findings)
