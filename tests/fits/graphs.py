"""Networks whose graph is not all open: compiled, checkpointed, scripted, hooked; and fits that count what happens."""

import importlib
from functools import partial

import torch
from torch import nn
from torch._dynamo.utils import counters
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from tests.callbacks.fits import NAMESPACES, data, trainer

pl = importlib.import_module(NAMESPACES[0])
STEPS = 5
compiled = partial(torch.compile, backend="aot_eager")


class Block(nn.Module):
    """Two layers, which count how often they run."""

    def __init__(self, width, activation):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), activation(), nn.Linear(width, width), activation())
        self.runs = 0

    def forward(self, x):
        if not torch.compiler.is_compiling():
            self.runs += 1
        return self.layers(x)


class Blocks(nn.Module):
    """A stem, four blocks of two layers, a head: (batch, 64) -> (batch, 10); ``way(block, x)`` runs a block."""

    def __init__(self, sick, way=lambda block, x: block(x)):
        super().__init__()
        torch.manual_seed(0)
        activation = nn.Sigmoid if sick else nn.ReLU
        self.stem, self.head = nn.Linear(64, 16), nn.Linear(16, 10)
        self.blocks = nn.ModuleList(Block(16, activation) for _ in range(4))
        self.way = way
        for layer in self.modules():
            if isinstance(layer, nn.Linear) and not sick:
                nn.init.kaiming_normal_(layer.weight)

    def body(self, x):
        for block in self.blocks:
            x = self.way(block, x)
        return x

    def forward(self, x):
        return self.head(self.body(self.stem(x)))


class Fit(pl.LightningModule):
    """Trains a network by SGD; the steps are small enough for it to stay what it is."""

    def __init__(self, net, rate=0.01):
        super().__init__()
        self.net, self.rate = net, rate
        self.losses = []

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.losses.append(float(outputs["loss"]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.rate)


def whole(net, **options):
    return compiled(net, **options)


def by_method(net):
    net.body = compiled(net.body)
    return net


def in_place(net):
    net.compile(backend="aot_eager")
    return net


def by_block(net, among=slice(None)):
    for index in range(len(net.blocks))[among]:
        net.blocks[index] = compiled(net.blocks[index])
    return net


def running(way):
    def change(net):
        net.way = way
        return net

    return change


def in_sequence(net):
    net.body = lambda x: checkpoint_sequential(net.blocks, 4, x, use_reentrant=True)
    return net


def in_a_closure(block, x):
    def again(y):
        return block(y)

    return checkpoint(again, x, use_reentrant=True)


def every_other(net):
    chosen = list(net.blocks)[::2]
    net.way = lambda block, x: checkpoint(block, x, use_reentrant=True) if block in chosen else block(x)
    return net


COMPILED = {
    "torch.compile(module)": whole,
    "torch.compile(module), fullgraph": partial(whole, fullgraph=True),
    "compiled method": by_method,
    "module.compile()": in_place,
    "each block compiled": by_block,
    "half of the blocks compiled": partial(by_block, among=slice(2, None)),
}
CHECKPOINTED = {
    "reentrant checkpoints": running(lambda block, x: checkpoint(block, x, use_reentrant=True)),
    "reentrant checkpoints of closures": running(in_a_closure),
    "every other block checkpointed": every_other,
    "checkpoint_sequential": in_sequence,
    "non-reentrant checkpoints": running(lambda block, x: checkpoint(block, x, use_reentrant=False)),
}
LIGHTNING_MODULE = "torch.compile(LightningModule)"


def run(change=None, callbacks=(), *, net=None, sick=False, whole_module=False, **options):
    """One fit, from a fresh start of the compiler; the trained module."""
    torch._dynamo.reset()
    counters.clear()
    net = Blocks(sick) if net is None else net
    fitted = Fit(net if change is None else change(net))
    torch.manual_seed(7)
    options.setdefault("limit_train_batches", STEPS)
    trainer(NAMESPACES[0], callbacks, **options).fit(compiled(fitted) if whole_module else fitted, data())
    return fitted


def compilations():
    """Graph breaks, graphs (a recompilation is one more), and whatever else the compiler counts but its caches."""
    return {key: dict(value) for key, value in counters.items() if "cache" not in key}
