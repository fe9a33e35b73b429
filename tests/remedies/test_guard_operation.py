"""Operations at the edge of their domain."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lightning_gradwatch.records import Kind, Quantity
from lightning_gradwatch.remedies.guard_operation import GuardOperation
from tests.remedies.findings import cause, finding, stack


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Log", "In place of Log: torch.log(x + eps)"),
        ("Sqrt", "In place of Sqrt: torch.sqrt(x + eps)"),
        ("LinalgSvd", "Write: an eps inside it"),
        (None, "Write: an eps inside it"),
    ],
)
def test_by_the_operation(name, words):
    evidence = () if name is None else (Quantity(name=f"{name} that broke", value=1.0),)
    found = finding(replace(cause("numerics"), evidence=evidence), kind=Kind.NONFINITE)
    assert words in GuardOperation().weigh(found, stack()).advice


def test_other_causes():
    assert GuardOperation().weigh(finding(cause("precision"), kind=Kind.NONFINITE), stack()) is None
