"""Losses out of scale, and losses of the wrong output."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies.fix_loss import FixLoss
from tests.remedies.findings import cause, finding, stack


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("GW611", Kind.STALLED, "Take small factors off the loss"),
        ("GW611", Kind.EXPLODING, 'reduction="mean"'),
        ("GW612", Kind.STALLED, "binary_cross_entropy_with_logits"),
    ],
)
def test_by_what_is_wrong_with_it(code, kind, words):
    found = finding(replace(cause("loss"), code=code), kind=kind)
    assert words in FixLoss().weigh(found, stack()).advice


def test_other_causes():
    assert FixLoss().weigh(finding(cause("data")), stack()) is None
