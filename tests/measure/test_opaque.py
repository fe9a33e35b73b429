import functools

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from lightning_gradwatch.measure.graph import walk
from lightning_gradwatch.measure.opaque import look_inside


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(2, 2), nn.Linear(2, 1)
        self.a, self.b = (nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)) for _ in range(2))

    def forward(self, run):
        x = run(self.b, run(self.a, self.stem(torch.ones(1, 2))))
        return self.head(x).sum()


def hidden(run):
    torch.manual_seed(0)
    net = Net()
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    return look_inside(walk(net(run).grad_fn), names)


def again(function, x):
    return checkpoint(function, x, use_reentrant=True)


INSIDE = [("b.2.bias", "b.2.weight", "b.0.bias", "b.0.weight"), ("a.2.bias", "a.2.weight", "a.0.bias", "a.0.weight")]
WAYS = {
    "module": again,
    "bound method": lambda block, x: again(block.forward, x),
    "partial": lambda block, x: again(functools.partial(block), x),
    "closure": lambda block, x: again(lambda y: block(y) * 1, x),
    "argument": lambda block, x: checkpoint(lambda f, y: f(y), block, x, use_reentrant=True),
}


@pytest.mark.parametrize("run", WAYS.values(), ids=WAYS.keys())
def test_a_checkpoint_knows_what_it_runs_again(run):
    found = hidden(run)
    assert list(found.insides.values()) == INSIDE
    assert (found.kinds, found.unplaced) == (("reentrant checkpoints",), ())
    assert [(use.parameter, use.is_layer) for use in found.uses()] == [("b.2.weight", True), ("a.2.weight", True)]


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # Dynamo's own
def test_a_compiled_region_is_told_by_its_inputs():
    found = hidden(lambda block, x: torch.compile(block, backend="aot_eager")(x))
    assert [{*inside} for inside in found.insides.values()] == [{*inside} for inside in INSIDE]
    assert [found.layers_in(node) for node in found.insides] == [("b.2", "b.0"), ("a.2", "a.0")]
    assert found.kinds == ("compiled regions",)


def test_what_several_could_hold_is_placed_in_none():
    both = []

    def run(block, x):
        both.append(block)
        return again(lambda y: both[0](y) if block is both[0] else block(y), x)

    found = hidden(run)
    assert [inside for inside in found.insides.values() if inside] == []
    assert found.unplaced[0] == "b.2.bias"
    assert found.unplaced_before("stem.weight") == ("b.2", "b.0", "a.2", "a.0", "stem")
    assert found.unplaced_before("b.0.weight") == ("b.2", "b.0", "a.2", "a.0")


def test_an_open_graph_hides_nothing():
    found = hidden(lambda block, x: block(x))
    assert (found.kinds, found.insides, found.uses(), found.unplaced) == ((), {}, [], ())
