"""Where a way around the blocks helps, and what it costs."""

from __future__ import annotations

import pytest

from lightning_gradwatch.records import Anatomy
from lightning_gradwatch.remedies.add_residual import AddResidual
from tests.remedies.findings import cause, finding, layer, stack, with_layers

RULE = AddResidual()
FOUND = finding(cause("depth"))


def test_layers_that_keep_their_shape_suit_best():
    square, mixed = stack("ReLU"), Anatomy(layers=tuple(layer(str(i), fans=(64, 32)) for i in range(9)))
    assert "20 of 21 layers keep their shape; the others need a projection" in RULE.weigh(FOUND, square).reason
    assert "No layer of the 9 keeps its shape" in RULE.weigh(FOUND, mixed).reason
    assert RULE.weigh(FOUND, square).fit > RULE.weigh(FOUND, mixed).fit


@pytest.mark.parametrize(
    ("found", "anatomy"),
    [
        pytest.param(finding(cause("depth"), **{"residual blocks": 12.0}), stack("ReLU"), id="there already"),
        pytest.param(FOUND, stack("ReLU", depth=1), id="nothing to lead around"),
        pytest.param(finding(cause("depth"), layers=("rnn",)), with_layers(stack("ReLU"), "RNN"), id="over time"),
    ],
)
def test_does_not_apply(found, anatomy):
    assert RULE.weigh(found, anatomy) is None


def test_evidence_of_no_blocks_counts_none():
    assert RULE.weigh(finding(cause("depth"), **{"residual blocks": 0.0}), stack("ReLU")) is not None


def test_sums_that_are_there_already_get_a_scale():
    said = AddResidual().weigh(finding(cause("residual"), **{"residual blocks": 12.0}), stack("ReLU"))
    assert "at zero; leave the skip alone" in said.advice
