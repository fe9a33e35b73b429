import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.graph import walk
from lightning_gradwatch.measure.host import to_host
from lightning_gradwatch.measure.strays import Strays


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def found(model, optimizers, loss_of=lambda model: model(torch.ones(5, 3)).sum(), wrapped=False):
    strays, names = Strays(), parameter_names(model)
    loss = loss_of(model)
    strays.reaches(walk(loss.grad_fn), names)
    loss.backward()
    strays.look(optimizers, names, wrapped)
    return strays.finish(iter(to_host([share.tensor for share in strays.shares()])))


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def test_all_owned(model):
    assert found(model, [sgd(model[0].parameters()), sgd(model[2].parameters())]) == ()


def test_forgotten_layer(model):
    assert found(model, [sgd(model[2].parameters())]) == ("0.weight", "0.bias")


def test_an_optimizer_of_another_model(model):
    assert set(found(model, [sgd(nn.Linear(3, 1).parameters())])) == {name for name, _ in model.named_parameters()}


def test_an_engine_owns_them_in_a_form_of_its_own(model):
    assert found(model, [sgd(nn.Linear(3, 1).parameters())], wrapped=True) == ()
    assert found(model, [sgd(model[2].parameters())], wrapped=True) == ("0.weight", "0.bias")


def test_frozen_or_not_reached_or_fed_with_zeros_is_no_stray(model):
    model[0].bias.requires_grad_(False)
    optimizers = [sgd([model[2].weight])]
    assert found(model, optimizers) == ("0.weight", "2.bias")
    model.zero_grad()
    assert found(model, optimizers, lambda model: 0 * model(torch.ones(5, 3)).sum()) == ()
    assert found(model, optimizers, lambda model: model[2](torch.ones(5, 4)).sum()) == ("2.bias",)


def test_an_older_gradient_is_not_this_step_s(model):
    model(torch.ones(5, 3)).sum().backward()
    assert found(model, [sgd([model[2].weight])], lambda model: model[2](torch.ones(5, 4)).sum()) == ("2.bias",)


def test_of_very_many_the_first_ones_are_told():
    model = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(100)))
    assert len(found(model, [sgd(nn.Linear(3, 1).parameters())], lambda m: m(torch.ones(1, 2)).sum())) == 64
