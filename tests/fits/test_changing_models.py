"""Models that change during the fit, or are not whole when it starts."""

import pytest
import torch
from torch import nn

from tests.callbacks.fits import network
from tests.fits.modules import fit, nothing_to_say, plain, strict


def on_second_epoch(change):
    """A module that is changed between its first epoch and its second."""

    def hook(fitted):
        return lambda: change(fitted) if fitted.trainer.current_epoch == 1 else None

    return lambda: plain(on_train_epoch_start=hook)


def add_group(fitted, layer):
    fitted.optimizers().optimizer.add_param_group({"params": layer.parameters()})


def swap(fitted):
    fitted.net[2] = nn.Linear(16, 16)
    add_group(fitted, fitted.net[2])


def append(fitted):
    fitted.net.append(nn.Linear(10, 10))
    add_group(fitted, fitted.net[-1])


def delete(fitted):
    del fitted.net[2]


def rebuild(fitted):
    fitted.net = network(False, depth=6)
    fitted.trainer.strategy.optimizers = [torch.optim.SGD(fitted.parameters(), 0.01)]


def freeze(fitted):
    fitted.net[0].requires_grad_(False)


def thaws():
    fitted = on_second_epoch(lambda m: m.net[0].requires_grad_(True))()
    fitted.net[0].requires_grad_(False)
    return fitted


def widens_in_a_step():
    """A layer that gets more inputs inside ``optimizer_step``, as growing networks do."""

    def step(m):
        def training_step(batch, batch_idx):
            wide = nn.functional.pad(batch[0], (0, m.net[0].weight.shape[1] - 64))
            return nn.functional.cross_entropy(m.net(wide), batch[1])

        return training_step

    def optimizer_step(m):
        def grow(epoch, batch_idx, optimizer, closure):
            optimizer.step(closure=closure)
            if m.trainer.global_step == 4:
                weight = m.net[0].weight
                weight.data, weight.grad = nn.functional.pad(weight.data, (0, 3)), None

        return grow

    return plain(training_step=step, optimizer_step=optimizer_step)


def lazy():
    return plain(nn.Sequential(nn.LazyLinear(32), nn.ReLU(), nn.LazyLinear(10)))


def built_in(hook):
    def make():
        fitted = plain()
        del fitted.net

        def build(self, stage=None):
            self.net = network(False, depth=4)

        fitted.__class__ = type("Built", (type(fitted),), {hook: build})
        return fitted

    return make


CHANGES = {
    "a layer swapped for another": on_second_epoch(swap),
    "a layer added": on_second_epoch(append),
    "a layer taken out": on_second_epoch(delete),
    "model and optimizer made anew": on_second_epoch(rebuild),
    "a layer frozen": on_second_epoch(freeze),
    "a layer thawed": thaws,
    "a layer that grows within a step": widens_in_a_step,
    "lazy modules": lazy,
    "model built in setup": built_in("setup"),
    "model built in configure_model": built_in("configure_model"),
}


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")
@pytest.mark.parametrize("build", CHANGES.values(), ids=CHANGES.keys())
def test_nothing_to_say(build):
    nothing_to_say(build)


def test_changes_are_seen():
    def targets(build):
        watch = strict()
        fit(build(), [watch], max_epochs=2)
        return [frame.ledgers[0].target_layer for frame in watch.report.frames], watch.report.frames[-1]

    assert targets(CHANGES["a layer thawed"])[0] == ["net.2"] * 8 + ["net.0"] * 8
    assert targets(CHANGES["a layer frozen"])[0] == ["net.0"] * 8 + ["net.2"] * 8
    assert "net.9.weight" in names(targets(CHANGES["a layer added"])[1])
    assert "net.12.weight" in names(targets(CHANGES["model and optimizer made anew"])[1])
    assert not [name for name in names(targets(CHANGES["a layer swapped for another"])[1]) if "optimizer" in name]


def names(frame):
    return {reading.name for reading in frame.parameters if reading.norm is not None}


def test_a_grown_layer_is_measured_but_for_its_update():
    watch = strict()
    fit(widens_in_a_step(), [watch])
    updates = [frame.parameters[0].update for frame in watch.report.frames]
    assert [update is None for update in updates] == [i == 4 for i in range(8)]
