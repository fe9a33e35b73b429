"""What a treatment works with."""

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.remedies.surgery.edit import Edit


def parts():
    body = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 2), nn.Sigmoid())
    return nn.ModuleDict({"body": body, "head": nn.Linear(2, 1)})


@pytest.mark.parametrize(
    ("where", "names"),
    {
        "everywhere": (None, ["", "body", "body.0", "body.1", "body.2", "body.3", "head"]),
        "a part": (["body"], ["body", "body.0", "body.1", "body.2", "body.3"]),
        "a module": (["body.1"], ["body.1"]),
        "a pattern": (["body.[13]"], ["body.1", "body.3"]),
        "two": (["head", "*.0"], ["body.0", "head"]),
    }.values(),
)
def test_modules_that_were_asked_for(where, names):
    assert [name for name, _ in Edit(parts(), where=where).modules] == names


@pytest.mark.parametrize("where", ["legs", "body.7", "bod"])
def test_a_name_that_nothing_has(where):
    rule = "names of modules of this network, or patterns of them"
    with pytest.raises(WrongArgument, match=rf"`where` must be {rule}, got '{where}'.*Available: 'body', 'body.0'"):
        Edit(parts(), where=[where])


def test_a_module_is_replaced_wherever_it_is_held_and_in_its_mode():
    shared = nn.Sigmoid()
    model = nn.ModuleDict({"one": shared, "two": nn.Sequential(nn.Linear(2, 2), shared)}).eval()
    edit, new = Edit(model), nn.ReLU()
    assert [attribute for _, attribute in edit.parents(shared)] == ["one", "1"]
    edit.replace(shared, new)
    assert model["one"] is model["two"][1] is new
    assert not new.training
    assert (edit.changed, edit.did) == (["one"], ["one: Sigmoid is ReLU now."])


def test_the_network_itself_is_left():
    edit = Edit(nn.Sigmoid())
    edit.replace(edit.model, nn.ReLU())
    assert (edit.changed, edit.left) == (
        [],
        ["The network itself is a Sigmoid, which only who holds it can replace."],
    )


def test_names_are_those_without_wrappers():
    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self._checkpoint_wrapped_module = nn.Sequential(nn.Sigmoid())

    model = nn.Sequential(Holder())
    edit = Edit(model, where=["0.0"])
    [(name, module)] = edit.modules
    edit.replace(module, nn.ReLU())
    assert (name, edit.did) == ("0.0", ["0.0: Sigmoid is ReLU now."])
    assert isinstance(model[0]._checkpoint_wrapped_module[0], nn.ReLU)


def test_the_same_is_left_once():
    edit = Edit(nn.Linear(1, 1), [torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=1.0)])
    edit.leave("It is tied.")
    edit.leave("It is tied.")
    assert (edit.left, len(edit.optimizers)) == (["It is tied."], 1)
