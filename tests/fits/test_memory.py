"""Memory: nothing of a step is kept once it is over, and a long fit needs no more than a short one."""

import gc
import importlib
import sys
import weakref

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, both_namespaces, data, module, network, trainer
from tests.fits.generated import beside

pl = importlib.import_module(NAMESPACES[0])


class Sentinel:
    """Hung on a node of the graph, it lives as long as the node does."""


class Remembers:
    """Weak references to everything of the step at hand."""

    def __init__(self, fitted):
        self.fitted, self.seen = fitted, {}
        for name, layer in fitted.net.named_children():
            layer.register_forward_hook(lambda layer, inputs, output, name=name: self.see(f"activation {name}", output))

    def loss(self, loss):
        """The loss and its graph."""
        self.see("loss", loss)
        stack, nodes = [loss.grad_fn], set()
        while stack:
            node = stack.pop()
            if node is not None and node not in nodes:
                nodes.add(node)
                node.metadata["sentinel"] = Sentinel()
                self.see(f"node {node.name()} {len(nodes)}", node.metadata["sentinel"])
                if "AccumulateGrad" in node.name():  # lives with its parameter, not with the graph
                    del node.metadata["sentinel"]
                stack += [child for child, _ in node.next_functions]
        return loss

    def gradients(self):
        """What the parameters hold now."""
        for name, parameter in self.fitted.named_parameters():
            if parameter.grad is not None:
                self.see(f"gradient of {name}", parameter.grad)

    def see(self, name, thing):
        """Remember it weakly."""
        self.seen[name] = weakref.ref(thing)

    def alive(self):
        """The names of what still lives; forgets all."""
        alive = [name for name, reference in self.seen.items() if reference() is not None]
        self.seen = {}
        return alive


def watcher(namespace, remembers, kept, collected):
    """A callback behind the watch that lets go of the gradients, as the next step does, and looks at what is left."""
    base = importlib.import_module(namespace).Callback

    class Looks(base):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            remembers.gradients()

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            pl_module.zero_grad(set_to_none=True)
            collected.append(len(remembers.seen))
            kept.extend(remembers.alive())

    return Looks()


def manual(fitted):
    """Two losses, two backwards, one step."""
    fitted.automatic_optimization = False
    step = fitted.training_step

    def training_step(batch, batch_idx):
        optimizer = fitted.optimizers()
        optimizer.zero_grad()
        for _ in range(2):
            fitted.manual_backward(step(batch, batch_idx))
        optimizer.step()

    fitted.training_step = training_step


FITS = {
    "plain": {},
    "accumulation": {"accumulate_grad_batches": 2},
    "clipping": {"gradient_clip_val": 0.1},
    "16-mixed": {"precision": "16-mixed"},
    "manual, two losses a step": {"manual": True},
}


@both_namespaces
@pytest.mark.parametrize("every", [1, 1000], ids=["every step measured", "hardly any step measured"])
@pytest.mark.parametrize("options", FITS.values(), ids=FITS.keys())
def test_nothing_of_a_step_is_kept(namespace, options, every):
    """By reference counting alone: with the garbage collector off, so that a cycle through the graph would show."""
    options, kept, collected = dict(options), [], []
    fitted = module(namespace, network(depth=4))
    remembers = Remembers(fitted)
    original = fitted.training_step
    fitted.training_step = lambda batch, batch_idx: remembers.loss(original(batch, batch_idx))
    if options.pop("manual", False):
        manual(fitted)
    if "precision" in options:
        options |= beside.precision(namespace, options.pop("precision"))
    watch = GradWatch(every_n_steps=every, strict=True, verbose=False)
    gc.collect()
    gc.disable()
    try:
        trainer(namespace, [watch, watcher(namespace, remembers, kept, collected)], **options).fit(fitted, data(16))
    finally:
        gc.enable()
    assert kept == []
    assert len(collected) == 16
    assert min(collected[1:]) > 10  # there was something to be kept
    assert watch.report.frames


class Small(pl.LightningModule):
    """The least that has a ledger."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-3)


class Weighs(pl.Callback):
    """Counts what lives, every so many steps."""

    def __init__(self, every):
        self.every, self.tensors, self.blocks = every, [], []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if (batch_idx + 1) % self.every == 0:
            gc.collect()
            self.tensors.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
            self.blocks.append(sys.getallocatedblocks())  # what Python has asked for: exact, and free to ask


@pytest.mark.parametrize(("every", "steps"), [(1, 1_000), pytest.param(10, 10_000, marks=pytest.mark.slow)])
def test_twice_as_many_steps_need_no_more(every, steps, tmp_path):
    batches = DataLoader(TensorDataset(torch.randn(2 * steps, 4), torch.randint(0, 2, (2 * steps,))), 2)
    # The frames of the report go up to 128 and are thinned to 97: looked at every 62 of them, there are always as many.
    weighs = Weighs(62 * every)
    watch = GradWatch(every_n_steps=every, strict=True, verbose=False, record_to=str(tmp_path / "run.jsonl"))
    trainer(NAMESPACES[0], [watch, weighs]).fit(Small(), batches)
    assert len(weighs.tensors) == 16
    assert len(set(weighs.tensors[1:])) == 1, weighs.tensors
    # Two blocks kept a step from the first half to the second would be seen.
    first, second = max(weighs.blocks[2:8]), max(weighs.blocks[8:])
    assert second - first < steps, weighs.blocks
