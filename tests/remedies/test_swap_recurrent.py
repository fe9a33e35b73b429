"""Gates for plain recurrent layers, and for nothing else."""

from __future__ import annotations

import pytest

from lightning_gradwatch.remedies.swap_recurrent import SwapRecurrent
from tests.remedies.findings import cause, finding, stack, with_layers

RULE = SwapRecurrent()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("RNN", "Replace rnn (torch.nn.RNN) by torch.nn.LSTM or torch.nn.GRU."),
        ("RNNCell", "Replace rnncell (torch.nn.RNNCell) by torch.nn.LSTMCell or torch.nn.GRUCell."),
    ],
)
@pytest.mark.parametrize("blamed", ["recurrence", "activation", "depth", "initialization"])
def test_a_plain_layer_that_is_sick(kind, said, blamed):
    advice = RULE.weigh(finding(cause(blamed), layers=(kind.lower(),)), with_layers(stack(None, depth=1), kind))
    assert advice.advice == said
    assert "forget gates" in advice.reason


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        pytest.param(finding(cause("recurrence"), layers=("lstm",)), "LSTM", id="gated already"),
        pytest.param(finding(cause("depth"), layers=("0",)), "RNN", id="another layer is sick"),
    ],
)
def test_does_not_apply(found, kind):
    assert RULE.weigh(found, with_layers(stack(None, depth=1), kind)) is None
