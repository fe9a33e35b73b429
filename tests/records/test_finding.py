import dataclasses

import pytest

from lightning_gradwatch.records import Severity
from tests.reference.records import FINDING


def test_records_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FINDING.severity = Severity.INFO


@pytest.mark.parametrize(
    ("severity", "resolved", "alarm"), [("warning", False, True), ("info", False, False), ("critical", True, False)]
)
def test_is_alarm(severity, resolved, alarm):
    assert dataclasses.replace(FINDING, severity=Severity(severity), resolved=resolved).is_alarm is alarm
