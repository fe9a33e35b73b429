"""When the length of a gradient is the trouble."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies.clip_gradients import ClipGradients
from tests.remedies.findings import cause, finding, stack

RULE = ClipGradients()


@pytest.mark.parametrize("kind", ["recurrence", "data", "learning_rate"])
def test_for_what_explodes_or_breaks(kind):
    said = RULE.weigh(finding(cause(kind), kind=Kind.EXPLODING), stack())
    assert "gradient_clip_val" in said.advice
    assert RULE.weigh(finding(cause(kind), kind=Kind.NONFINITE), stack()) == said


@pytest.mark.parametrize("kind", [Kind.VANISHING, Kind.STALLED, Kind.SATURATION])
def test_a_gradient_that_is_too_small_is_not_clipped(kind):
    assert RULE.weigh(finding(cause("recurrence"), kind=kind), stack()) is None


def test_growth_along_depth_is_not_cured_by_it():
    assert RULE.weigh(finding(cause("initialization"), kind=Kind.EXPLODING), stack()) is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mode": "norm"}, '`max_norm` must be a number above 0 for mode "norm"'),
        ({"mode": "value"}, '`max_norm` must be a number above 0 for mode "value"'),
        ({"max_norm": 0.0}, "`max_norm` must be a number above 0, or None"),
        ({"mode": "hard"}, "`mode` must be one of the words below"),
        ({"quantile": 1.5}, "`quantile` must be a number from 0 to 1"),
        ({"window": 1}, "`window` must be a whole number of at least 2"),
        ({"agc": 0}, "`agc` must be a number above 0"),
        ({"skip_nonfinite": 1}, "`skip_nonfinite` must be True or False"),
    ],
    ids=str,
)
def test_arguments_that_are_none(options, says):
    with pytest.raises(WrongArgument, match=says):
        ClipGradients(**options)


@pytest.mark.parametrize(
    ("treatment", "line"),
    [
        (ClipGradients(0.5), "trainer = Trainer(gradient_clip_val=0.5)"),
        (ClipGradients(2, mode="value"), 'trainer = Trainer(gradient_clip_val=2, gradient_clip_algorithm="value")'),
        (ClipGradients(), "trainer = Trainer(callbacks=[ClipGradients()])"),
        (ClipGradients(mode="agc"), "trainer = Trainer(callbacks=[ClipGradients(mode='agc')])"),
    ],
    ids=repr,
)
def test_the_line_for_the_users_own_program(treatment, line):
    assert treatment.advice(nn.Linear(1, 1)).splitlines()[-1] == line


@pytest.mark.parametrize(
    ("treatment", "says"),
    [
        (ClipGradients(0.5), "SGD: the gradient is no longer than 0.5 at every step."),
        (ClipGradients(0.5, mode="value"), "SGD: no element of the gradient is larger than 0.5 at every step."),
        (ClipGradients(), "SGD: the gradient is clipped at the 0.9 quantile of its last 1000 norms at every step."),
        (ClipGradients(mode="agc"), "SGD moves nothing that is to be clipped."),
    ],
    ids=repr,
)
def test_it_says_what_it_does(treatment, says):
    net = nn.Linear(1, 1)
    applied = treatment.apply(net, torch.optim.SGD(net.parameters(), lr=1.0))
    assert says in (*applied.did, *applied.left)
