from dataclasses import replace

import pytest

from lightning_gradwatch.records import Kind, Quantity
from lightning_gradwatch.remedies import prescribe
from tests.remedies.findings import cause, finding, stack


@pytest.mark.parametrize(
    ("scale", "title", "advice"),
    [
        (1.0, "loss scaling, or bfloat16", 'precision="16-mixed"'),
        (1e-4, "bfloat16, or a larger loss scale", "larger init_scale"),
    ],
    ids=["no scaler", "a scale that fell"],
)
def test_for_a_format_that_ends(scale, title, advice):
    blamed = replace(cause("precision"), evidence=(Quantity(name="loss scale", value=scale),))
    [remedy] = prescribe(finding(blamed), stack("ReLU"))
    assert remedy.title == title
    assert advice in remedy.advice


def test_before_the_network_s_own_remedies_where_the_format_took_most():
    found = finding(cause("precision", 0.7), cause("activation", 0.3, Sigmoid=4))
    assert prescribe(found, stack("Sigmoid"))[0].name == "ScaleLoss"


@pytest.mark.parametrize(("kind", "title"), [(Kind.NONFINITE, "bfloat16"), (Kind.STALLED, "weights in float32")])
def test_numbers_that_overflow_and_updates_that_round_away(kind, title):
    assert prescribe(finding(cause("precision"), kind=kind), stack("ReLU"))[0].title == title
