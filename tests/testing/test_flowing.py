"""The assertion: passes the healthy, and its message tells place, cause and first remedy."""

import pytest
import torch
from torch import nn

from lightning_gradwatch import Report, WrongArgument
from lightning_gradwatch.cases import find
from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.testing import assert_gradients_flow

BATCH = (torch.randn(16, 8), torch.randn(16, 1))


def chain(depth, width=8):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.Sigmoid())]
    return nn.Sequential(*layers, nn.Linear(width, 1))


def test_the_healthy_pass_and_give_their_report():
    report = assert_gradients_flow(find("relu-he").network(), training_batches(), max_decades=1)
    assert isinstance(report, Report)
    assert report.healthy


def test_the_message_tells_place_cause_and_first_remedy():
    with pytest.raises(AssertionError) as caught:
        assert_gradients_flow(find("sigmoid-default").network(), training_batches())
    message = str(caught.value)
    assert message.startswith("The gradients of Sequential do not flow.\n\nVANISHING gradient (critical) since step")
    assert "  what    0 gets 10^-1" in message
    assert "activation [GW101]" in message
    assert "  try     1. " in message
    assert "ReLU" in message


def test_a_bound_of_ones_own_is_explained_as_any_finding():
    healthy = chain(3)
    assert_gradients_flow(healthy, BATCH)
    with pytest.raises(AssertionError) as caught:
        assert_gradients_flow(healthy, BATCH, max_decades=1)
    message = str(caught.value)
    assert "more than the 1 that max_decades" in " ".join(message.split())
    assert "activation [GW101]" in message
    assert "  try     1. " in message
    assert_gradients_flow(healthy, BATCH, max_decades=4)


def test_the_loss_of_the_caller_is_the_one_that_counts():
    seen = []

    def loss(output, batch):
        seen.append(batch)
        return output.square().mean()

    assert_gradients_flow(chain(1), BATCH, loss, batches=2)
    assert seen


def test_nothing_that_could_be_judged_is_a_failure():
    from lightning_gradwatch._lightning import namespace

    class Silent(namespace().LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 1)

        def training_step(self, batch, batch_idx):
            return None

    with pytest.raises(AssertionError, match="No gradient could be judged: no batch gave a loss"):
        assert_gradients_flow(Silent(), BATCH)


@pytest.mark.parametrize("bound", [-1, float("nan"), "2", True])
def test_a_wrong_bound_is_told(bound):
    with pytest.raises(WrongArgument, match="`max_decades` must be a finite number of at least 0, or None"):
        assert_gradients_flow(chain(1), BATCH, max_decades=bound)


def test_what_is_silenced_does_not_fail_it():
    report = assert_gradients_flow(chain(16), BATCH, ignore={"vanishing": "a toy"})
    assert [one.ignored for one in report.findings if one.kind == "vanishing"] == ["a toy"]
    with pytest.raises(AssertionError, match="do not flow"):
        assert_gradients_flow(chain(16), BATCH, ignore={"vanishing": "a toy"}, max_decades=1)
