"""Batches out of whatever holds data."""

import collections
import itertools

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import WrongArgument
from lightning_gradwatch._lightning import NAMESPACES, namespace
from lightning_gradwatch.verify.batches import fresh, is_batch, take

X, Y = torch.arange(12.0).reshape(6, 2), torch.arange(6)
Pair = collections.namedtuple("Pair", "x y")


class Graph:
    """As torch_geometric's Data: can be iterated over, and is one batch all the same."""

    def __init__(self, x):
        self.x = x

    def __iter__(self):
        return iter([("x", self.x)])

    def clone(self):
        return Graph(self.x.clone())

    def to(self, device):
        return self


def loader(size=2, **more):
    return DataLoader(TensorDataset(X, Y), size, **more)


ONE = {
    "tensor": X,
    "tuple": (X, Y),
    "named tuple": Pair(X, Y),
    "nested": ((X, X), Y),
    "list as collated": [X, Y],
    "dict": {"x": X, "labels": Y},
    "graph": Graph(X),
}


@pytest.mark.parametrize("batch", ONE.values(), ids=ONE)
def test_one_batch(batch):
    assert is_batch(batch)
    assert take(batch, 3)[0] is batch
    assert len(take(batch, 3)) == 1


MANY = {
    "list of tuples": lambda: [(X, Y)] * 5,
    "list of dicts": lambda: [{"x": X}] * 5,
    "generator": lambda: ((X, Y) for _ in range(5)),
    "endless": lambda: itertools.repeat((X, Y)),
    "loader": loader,
    "loaders of a dict": lambda: Module({"a": loader(1), "b": loader(2)}),
    "loaders of a list": lambda: Module([loader(2), loader(1)]),
}


class Module:
    """A LightningDataModule, as far as it is asked."""

    def __init__(self, loaders):
        self.loaders, self.calls = loaders, []

    def prepare_data(self):
        self.calls.append("prepare_data")

    def setup(self, stage):
        self.calls.append(stage)

    def train_dataloader(self):
        return self.loaders


@pytest.mark.parametrize("make", MANY.values(), ids=MANY)
def test_many_batches(make):
    assert len(take(make(), 3)) == 3


def test_loaders_that_belong_together_give_one_batch():
    [first, *rest] = take(Module({"a": loader(1), "b": loader(3)}), 9)
    assert len(rest) == 5, "as many as the longest has"
    assert list(first) == ["a", "b"]
    assert len(first["b"][0]) == 3
    assert torch.equal(rest[1]["b"][0], first["b"][0]), "the shorter one begins again"


def test_a_data_module_is_made_ready_as_in_a_fit():
    data = Module(loader())
    assert len(take(data, 9)) == 3
    assert data.calls == ["prepare_data", "fit"]


@pytest.mark.parametrize("lightning", NAMESPACES)
def test_a_real_data_module(lightning):
    class Data(namespace(lightning).LightningDataModule):
        def setup(self, stage):
            self.kept = TensorDataset(X, Y)

        def train_dataloader(self):
            return DataLoader(self.kept, 2)

    assert len(take(Data(), 2)) == 2


def test_generators_of_a_loader_stand_where_they_stood():
    generator = torch.Generator().manual_seed(1)
    before = generator.get_state()
    take(loader(shuffle=True, generator=generator), 2)
    take(Module([loader(shuffle=True, generator=generator)]), 2)
    assert torch.equal(generator.get_state(), before)


WRONG = {
    "a number": (3, "`data` must be a batch, batches, a DataLoader or a LightningDataModule, got 'int'"),
    "a path": ("data.csv", "or a LightningDataModule, got 'str'"),
    "nothing in it": ([], "`data` must be at least one batch, got 'list without any'"),
    "an empty loader": (DataLoader([], 2), "`data` must be at least one batch, got 'DataLoader without any'"),
    "a module without a loader": (
        Module(None),
        "`data` must be a source of batches, got 'a train_dataloader",
    ),
    "loaders in the open": ([loader()], "or a LightningDataModule, got 'list'"),
}


@pytest.mark.parametrize(("data", "sentence"), WRONG.values(), ids=WRONG)
def test_what_holds_no_batch_is_a_sentence(data, sentence):
    with pytest.raises(WrongArgument) as caught:
        take(data, 3)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("batch", [ONE[name] for name in ONE if name != "graph"], ids=[n for n in ONE if n != "graph"])
def test_fresh_copies_are_equal_and_nobody_elses(batch):
    copy = fresh(batch, torch.device("cpu"))
    assert type(copy) is type(batch)
    ours, theirs = (torch.utils._pytree.tree_leaves(one) for one in (copy, batch))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert not {t.data_ptr() for t in ours} & {t.data_ptr() for t in theirs}


def test_fresh_copies_of_other_things():
    graph, wanting = Graph(X), torch.ones(2, requires_grad=True)
    assert fresh(graph).x is not X
    assert fresh("text") == "text"
    assert fresh(wanting).requires_grad
    assert fresh(wanting).is_leaf
