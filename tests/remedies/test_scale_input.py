"""Inputs out of scale, and batches out of line."""

from __future__ import annotations

import math
from dataclasses import replace

from lightning_gradwatch.records import Kind, Quantity
from lightning_gradwatch.remedies.scale_input import ScaleInput
from tests.remedies.findings import cause, finding, stack

RULE = ScaleInput()


def told(code, given):
    blamed = replace(cause("data"), code=code, evidence=(Quantity(name="root mean square of the input", value=given),))
    return RULE.weigh(finding(blamed, kind=Kind.SATURATION), stack())


def test_raw_pixels():
    said = told("GW311", 80.0)
    assert said.title == "standardised inputs"
    assert "a size of 80." in said.reason


def test_one_odd_batch_is_looked_at():
    for said in (told("GW312", 80.0), told("GW311", math.nan)):
        assert said.title == "data without outliers"
        assert "Look at the batch" in said.advice
