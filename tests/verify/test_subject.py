"""Copies of a network, and others of its kind."""

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.verify.subject import Subject


def layers():
    return nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))


def weights(network):
    return nn.utils.parameters_to_vector(network.parameters()).detach()


def test_copies_have_the_weights_and_are_nobody_elses():
    given = layers()
    subject = Subject(given, 3, 0)
    one, two = subject.another(), subject.another()
    assert torch.equal(weights(one), weights(given))
    assert len({id(given), id(subject.base), id(one), id(two)}) == 4


def test_others_of_its_kind_have_other_weights():
    subject = Subject(layers(), 3, 0)
    one, kept, whole = subject.drawn(1)
    again = subject.drawn(1)[0]
    assert (kept, whole) == ((), 2)
    assert not torch.equal(weights(one), weights(subject.base))
    assert torch.equal(weights(one), weights(again))


def test_a_function_makes_the_others():
    subject = Subject(layers, 3, 5)
    torch.manual_seed(5)
    assert torch.equal(weights(subject.base), weights(layers()))
    other = weights(subject.drawn(6)[0])
    torch.manual_seed(6)
    assert torch.equal(other, weights(layers()))


def test_copies_are_ready_to_train():
    given = layers().eval()
    given(torch.ones(1, 8)).sum().backward()
    copy = Subject(given, 3, 0).another()
    assert copy.training
    assert [parameter.grad for parameter in copy.parameters()] == [None] * 4


def test_lazy_layers_are_shaped_by_what_they_are_shown():
    subject = Subject(lambda: nn.LazyLinear(3), 3, 0)
    subject.shape(lambda network: network(torch.ones(2, 5)))
    assert subject.another().weight.shape == (3, 5)
    assert subject.drawn(1)[0].weight.shape == (3, 5)


def test_wrappers_are_taken_off():
    inner = layers()
    assert isinstance(Subject(nn.DataParallel(inner), 3, 0).base, nn.Sequential)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("text", "a torch.nn.Module or a function that makes one"),
        (lambda: None, "a function that makes a torch.nn.Module"),
    ],
    ids=["no network", "makes none"],
)
def test_neither_network_nor_maker(given, rule):
    with pytest.raises(WrongArgument, match=f"`model` must be {rule}"):
        Subject(given, 3, 0)


def test_a_module_that_a_fit_has_set_up_is_not_set_up_again():
    from lightning_gradwatch import _lightning

    class Module(_lightning.namespace().LightningModule):
        def setup(self, stage):
            self.net = layers()

        def training_step(self, batch):
            return self.net(batch).sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    given = Module()
    given.setup("fit")
    assert torch.equal(weights(Subject(given, 1, 0, ready=True).another()), weights(given))
    assert not torch.equal(weights(Subject(given, 1, 0).another()), weights(given))
