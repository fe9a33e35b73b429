"""A gate's findings as SARIF 2.1.0, which code hosts show beside the code.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0 (2020), section 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightning_gradwatch.records import Finding, Kind, Severity
from lightning_gradwatch.report import words
from lightning_gradwatch.report.gate import Gate

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.CRITICAL: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_WORSE = "worse-than-baseline"

Place = tuple[str, int]  # a file, relative to where the check ran, and a line


def sarif(gate: Gate, version: str, place: Place | None = None) -> dict[str, Any]:
    """The log as plain JSON values: one result for each open finding, and for each thing that became worse.

    Args:
        gate: what was checked.
        version: of the tool.
        place: where the network is defined.
    """
    results = [*_findings(gate, place), *_regressions(gate, place)]
    driver = {"name": "gradwatch", "version": version, "rules": list(_rules(results))}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rules(results: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    titles = {kind.value: words.TITLES[kind] for kind in Kind} | {_WORSE: "Gradient flow is worse than recorded"}
    for rule in dict.fromkeys(result["ruleId"] for result in results):
        yield {"id": rule, "shortDescription": {"text": titles[rule]}}


def _findings(gate: Gate, place: Place | None) -> Iterator[dict[str, Any]]:
    for finding in gate.open:
        state = {} if gate.recorded is None else {"baselineState": _state(gate, finding)}
        yield {
            "ruleId": finding.kind.value,
            "level": _LEVELS[finding.severity],
            "message": {"text": _message(finding)},
            "locations": [_location(finding.layers[:1], place)],
            "partialFingerprints": {"gradwatch/v1": f"{gate.report.name}:{finding.id}"},
            "properties": {"layers": list(finding.layers), "causes": [cause.code for cause in finding.causes]},
            **state,
        }


def _state(gate: Gate, finding: Finding) -> str:
    recorded = {} if gate.recorded is None else gate.recorded.findings
    if finding.id not in recorded:
        return "new"
    return "unchanged" if recorded[finding.id] == finding.severity else "updated"


def _regressions(gate: Gate, place: Place | None) -> Iterator[dict[str, Any]]:
    for sentence in gate.worse:
        message = {"text": words.plain(sentence)}
        yield {"ruleId": _WORSE, "level": "error", "message": message, "locations": [_location((), place)]}


def _message(finding: Finding) -> str:
    """What, why and what to do, as one paragraph."""
    cause, remedy = next(iter(finding.causes), None), next(iter(finding.remedies), None)
    parts = [f"{words.TITLES[finding.kind]}: {finding.summary}."]
    parts += [f"Cause: {words.heading(cause)}, {cause.sentence}."] if cause is not None else []
    parts += [f"Remedy: {remedy.advice}."] if remedy is not None else []
    return words.plain(" ".join(part.replace("..", ".") for part in parts))


def _location(layers: tuple[str, ...], place: Place | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if place is not None:
        region = {"startLine": place[1]}
        found["physicalLocation"] = {"artifactLocation": {"uri": place[0]}, "region": region}
    if layers:
        found["logicalLocations"] = [{"fullyQualifiedName": words.plain(name), "kind": "member"} for name in layers]
    return found
