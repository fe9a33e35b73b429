"""Fits in which a part of the watch breaks, and what they make."""

import importlib

from tests.callbacks.fits import NAMESPACES, data, module, network, trainer
from tests.fits.generated.traces import same, seed, traces

pl = importlib.import_module(NAMESPACES[0])
OURS = "lightning_gradwatch."


class Injected(Exception):
    """An error that nobody expects."""


class Arms(pl.Callback):
    """Breaks a function from some batch on; counts how often the fault was met."""

    def __init__(self, monkeypatch, target, batch):
        self.batch, self.armed, self.hits = batch, batch == 0, 0
        owner, _, name = target.rpartition(".")
        self.owner, self.name, self.patch = owner, name, monkeypatch
        monkeypatch.setattr(OURS + target, self._wrapped(self._original()))

    def _original(self):
        parts = (OURS + self.owner).split(".")
        for split in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:split]))
            except ModuleNotFoundError:
                continue
            for part in [*parts[split:], self.name]:
                found = getattr(found, part)
            return found
        raise LookupError(self.owner)

    def _wrapped(self, original):
        def call(*args, **kwargs):
            if self.armed:
                self.hits += 1
                raise Injected("injected")
            return original(*args, **kwargs)

        return call

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.armed = self.armed or batch_idx >= self.batch


def run(watch, *callbacks, logger=False, folder="."):
    """A sick fit that writes a checkpoint every other step; what it made."""
    fitted = module(NAMESPACES[0], network())
    seed(3)
    saves = pl.callbacks.ModelCheckpoint(folder, "{step}", every_n_train_steps=2, save_top_k=-1)
    mine = [] if watch is None else [watch]
    runner = trainer(NAMESPACES[0], [*callbacks, *mine, saves], logger=logger, enable_checkpointing=True)
    runner.log_every_n_steps = 1000  # Lightning itself writes nothing
    runner.fit(fitted, data())
    return traces(runner, fitted, [saves], folder)


def broken(monkeypatch, target):
    def fails(*args, **kwargs):
        raise Injected("injected")

    monkeypatch.setattr(OURS + target, fails)


def said(caplog):
    return [record for record in caplog.records if record.exc_info]


def differing(made, undisturbed):
    """The names of what is not as in the fit without a watch."""
    return [name for name in undisturbed if not same(made[name], undisturbed[name])]
