import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import named_modules, parameter_names
from lightning_gradwatch.anatomy.names import every_module


class Holder(nn.Module):
    def __init__(self, **children):
        super().__init__()
        for name, child in children.items():
            setattr(self, name, child)


def names(model):
    return list(parameter_names(model).values()), [name for name, _ in named_modules(model)]


def test_without_wrappers_names_are_torch_s():
    model = Holder(module=nn.Sequential(nn.Linear(2, 2)), head=nn.Linear(2, 1))
    assert names(model) == ([n for n, _ in model.named_parameters()], [n for n, _ in model.named_modules() if n])


def test_wrappers_are_left_out_at_every_depth():
    model = Holder(_orig_mod=Holder(body=Holder(_checkpoint_wrapped_module=Holder(fc=nn.Linear(2, 1)))))
    assert names(model) == (["body.fc.weight", "body.fc.bias"], ["body", "body.fc"])


def test_compiled_parts_keep_their_names():
    body, head = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 1)
    model = Holder(**{name: torch.compile(part, backend="eager") for name, part in (("body", body), ("head", head))})
    assert names(model)[1] == ["body", "body.0", "body.1", "head"]


def test_module_is_a_wrapper_s_only_where_a_wrapper_says_so():
    assert names(nn.DataParallel(nn.Linear(2, 1)))[0] == ["weight", "bias"]
    assert names(torch.optim.swa_utils.AveragedModel(nn.Linear(2, 1)))[0] == ["weight", "bias"]


def test_where_two_would_be_called_the_same_both_keep_their_names():
    clash = Holder(a=Holder(_orig_mod=Holder(b=nn.Linear(1, 1, bias=False)), b=nn.Linear(1, 1, bias=False)))
    assert names(clash)[0] == ["a._orig_mod.b.weight", "a.b.weight"]


@pytest.mark.filterwarnings("ignore:.*torch.jit.* is deprecated:DeprecationWarning")
def test_scripted_modules():
    model = nn.Sequential(torch.jit.script(nn.Sequential(nn.Linear(2, 1))))
    assert names(model) == (["0.0.weight", "0.0.bias"], ["0", "0.0"])


def test_every_module_is_each_once_wherever_it_stands():
    shared, empty = nn.Linear(2, 2), nn.Module()
    empty.register_module("later", None)
    model = nn.Sequential(shared, nn.Sequential(nn.ReLU(), shared, empty))
    found = every_module(model)
    assert found[0] is model
    assert sorted(map(id, found)) == sorted(map(id, model.modules()))
