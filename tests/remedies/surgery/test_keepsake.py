"""A network comes back bit for bit, whatever it is made of, and whatever others did to it meanwhile."""

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from lightning_gradwatch.remedies.surgery.keepsake import Keepsake
from tests.fits.modules import fingerprint
from tests.remedies.treatments import net, steps


class Odd(nn.Module):
    """Tied and frozen weights, buffers that are views and that are not saved, an attribute that is a function."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.first.bias.requires_grad = False
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("wide", torch.ones(1).expand(4))
        self.register_buffer("view", self.norm.running_mean[:2])
        self.register_buffer("hidden", torch.ones(2), persistent=False)
        self.register_buffer("turn", torch.ones(2, dtype=torch.complex64))
        self.act, self.calls, self.sizes = torch.sigmoid, 0, [1, 2]

    def forward(self, x):
        self.calls += 1
        return self.second(self.act(self.norm(self.first(x)))) * self.wide


NETWORKS = {
    "plain": net,
    "odd": Odd,
    "parametrized": lambda: nn.Sequential(weight_norm(nn.Linear(4, 4)), nn.Sigmoid(), nn.Linear(4, 1)),
    "attention": lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.1),
}


def all_of(model):
    """Values, gradients, names and identities of everything."""
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return (
        {name: (id(t), fingerprint(t), fingerprint(t.grad), t.requires_grad) for name, t in tensors},
        [(name, id(module), type(module), repr(module)) for name, module in model.named_modules()],
        list(model.state_dict()),
        [module._forward_hooks | module._forward_pre_hooks for module in model.modules()],
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_everything_comes_back(name):
    model = NETWORKS[name]()
    model(torch.ones(3, 4)).sum().backward()
    before, kept = all_of(model), Keepsake(model)
    for module in list(model.modules()):
        module.register_forward_hook(lambda *_: None)
        for child, part in list(module.named_children()):
            if isinstance(part, (nn.Linear, nn.Sigmoid)):
                setattr(module, child, nn.Identity())
    for number, (_, parameter) in enumerate(model.named_parameters()):
        parameter.requires_grad = not parameter.requires_grad
        parameter.data.fill_(float(number))
        parameter.grad = None
    model.register_parameter("new", nn.Parameter(torch.ones(1)))
    kept.settle()
    kept.restore()
    assert all_of(model) == before
    model(torch.ones(3, 4))


def test_tied_weights_stay_tied_and_counters_go_back():
    model = Odd()
    kept = Keepsake(model)
    model.second.weight = nn.Parameter(torch.zeros(4, 4))
    kept.settle()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        model(torch.rand(3, 4)).sum().backward()
        optimizer.step()
    assert model.norm.num_batches_tracked == 3
    kept.restore()
    assert model.second.weight is model.first.weight
    assert model.norm.num_batches_tracked == 0
    assert model.view.data_ptr() == model.norm.running_mean.data_ptr()
    assert model.wide.stride() == (0,)


def test_attributes_that_the_edit_changed_and_no_others():
    model = Odd()
    kept = Keepsake(model)
    model.act, model.extra = torch.tanh, 1
    model.sizes.append(3)
    kept.settle()
    model(torch.ones(2, 4))
    model.theirs = 2
    kept.restore()
    assert (model.act, model.sizes, model.calls, model.theirs) == (torch.sigmoid, [1, 2], 1, 2)
    assert not hasattr(model, "extra")


def test_flat_weights_of_a_recurrent_layer():
    layer = nn.RNN(2, 3)
    kept = Keepsake(layer)
    layer.weight_hh_l0 = nn.Parameter(torch.eye(3))
    kept.settle()
    assert layer._flat_weights[1] is layer.weight_hh_l0
    kept.restore()
    assert layer._flat_weights[1] is layer.weight_hh_l0
    assert not torch.equal(layer.weight_hh_l0, torch.eye(3))


class _Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def test_a_parametrization_that_the_edit_registered():
    layer = nn.Linear(2, 2)
    before, x = copy.deepcopy(layer), torch.ones(1, 2)
    kept = Keepsake(layer)
    parametrize.register_parametrization(layer, "weight", _Doubled())
    kept.settle()
    layer(x).sum().backward()
    kept.restore()
    assert type(layer) is nn.Linear
    assert dict(layer.named_parameters()).keys() == {"weight", "bias"}
    assert torch.equal(layer(x), before(x))


def test_lazy_layers_that_were_built_since_then_stay_built():
    model = nn.Sequential(nn.LazyLinear(3), nn.Sigmoid(), nn.LazyBatchNorm1d())
    kept = Keepsake(model)
    model[1] = nn.ReLU()
    kept.settle()
    model(torch.ones(2, 5))
    kept.restore()
    assert [type(part) for part in model] == [nn.Linear, nn.Sigmoid, nn.BatchNorm1d]
    assert model(torch.ones(2, 5)).shape == (2, 3)


def test_lazy_layers_that_nobody_built_stay_lazy():
    model = nn.Sequential(nn.LazyLinear(3), nn.Sigmoid())
    kept = Keepsake(model)
    model[1] = nn.ReLU()
    kept.settle()
    kept.restore()
    assert isinstance(model[0], nn.LazyLinear)
    assert model(torch.ones(2, 5)).shape == (2, 3)


def test_a_network_without_values():
    model = nn.Linear(2, 2, device="meta")
    kept = Keepsake(model)
    model.weight = nn.Parameter(torch.ones(2, 2, device="meta"))
    weight = kept._modules[0].parts["_parameters"]["weight"]
    kept.settle()
    kept.restore()
    assert model.weight is weight


def test_values_come_back_to_where_the_network_is_and_as_what_it_was():
    model = nn.Linear(2, 2)
    before, kept = fingerprint(model.state_dict()), Keepsake(model)
    kept.settle()
    model.double()
    kept.restore()
    assert fingerprint(model.state_dict()) == before


def test_what_was_away_comes_back_in_the_mode_of_now():
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2).eval())
    away, frozen = model
    kept = Keepsake(model)
    model[0] = model[1] = nn.Identity()
    kept.settle()
    model.eval()
    kept.restore()
    assert (away.training, frozen.training) == (False, False)
    assert list(model) == [away, frozen]


def test_a_mode_that_the_edit_set_goes_back():
    model = nn.Sequential(nn.BatchNorm1d(2))
    kept = Keepsake(model)
    model[0].eval()
    kept.settle()
    kept.restore()
    assert model[0].training


def test_hooks_on_parameters():
    model = net()
    model[0].weight.register_hook(lambda grad: grad)
    kept = Keepsake(model)
    model[0].weight.register_hook(lambda grad: grad * 0)
    model[0].bias.register_hook(lambda grad: grad * 0)
    model[2].bias.register_post_accumulate_grad_hook(lambda p: p.grad.zero_())
    kept.settle()
    theirs = model[2].weight.register_hook(lambda grad: grad)
    kept.restore()
    model(torch.ones(2, 4)).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in (model[0].weight, model[0].bias, model[2].bias))
    assert (len(model[0].weight._backward_hooks), len(model[2].weight._backward_hooks)) == (1, 1)
    theirs.remove()


def test_tensors_made_in_inference_mode():
    with torch.inference_mode():
        model = nn.BatchNorm1d(2)
    kept = Keepsake(model)
    with torch.inference_mode():
        model.running_mean.fill_(3.0)
    kept.settle()
    kept.restore()
    assert model.running_mean.tolist() == [0.0, 0.0]


def test_sparse_gradients():
    model = nn.Embedding(4, 2, sparse=True)
    model(torch.tensor([1, 1])).sum().backward()
    before = model.weight.grad.to_dense()
    kept = Keepsake(model)
    model.weight.grad = None
    kept.settle()
    kept.restore()
    assert model.weight.grad.is_sparse
    assert torch.equal(model.weight.grad.to_dense(), before)


def test_the_state_of_optimizers_belongs_to_the_old_parameters_again():
    model = net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    steps(model, optimizer, 2)
    twin = copy.deepcopy((model, optimizer))
    kept = Keepsake(model, [optimizer])
    steps(model, optimizer, 3)
    kept.settle()
    kept.restore()
    for one, other in ((model, optimizer), twin):
        torch.manual_seed(3)
        steps(one, other, 3)
    assert fingerprint(model.state_dict()) == fingerprint(twin[0].state_dict())
    assert fingerprint(optimizer.state_dict()) == fingerprint(twin[1].state_dict())


def test_random_numbers():
    kept, draw = Keepsake(net()), lambda: (random.random(), float(np.random.rand()), torch.rand(1).item())
    kept.settle()
    first = draw()
    kept.restore()
    assert draw() == first
