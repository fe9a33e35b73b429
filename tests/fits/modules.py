"""Small modules to fit, odd ones too, and what must be the same of a fit with the watch and without."""

import importlib
import warnings

import torch
from torch import nn

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, module, network, trainer

pl = importlib.import_module(NAMESPACES[0])


def plain(net=None, rate=0.01, **changes):
    """A LightningModule around a network; ``changes`` are made from the module and hung on it."""
    fitted = module(NAMESPACES[0], network(False, depth=4) if net is None else net, "SGD", rate=rate)
    for name, value in changes.items():
        setattr(fitted, name, value(fitted))
    return fitted


def loss_of(fitted, batch):
    return nn.functional.cross_entropy(fitted.net(batch[0]), batch[1])


def returns(make, **options):
    """A module whose ``training_step`` gives what ``make(module, batch)`` gives."""
    return lambda: plain(training_step=lambda m: lambda batch, batch_idx: make(m, batch), **options)


def optimizer(make):
    """A module with the optimizer that ``make(parameters)`` gives."""
    return lambda: plain(configure_optimizers=lambda m: lambda: make(m.parameters()))


def validated(fitted):
    """The module with a validation that logs ``val_loss``."""

    def step(batch, batch_idx):
        fitted.log("val_loss", loss_of(fitted, batch))

    fitted.validation_step = fitted.test_step = step
    fitted.predict_step = lambda batch, batch_idx: fitted.net(batch[0])
    return fitted


def strict(**options):
    """A watch that hides no error of its own."""
    options.setdefault("every_n_steps", 1)
    return GradWatch(strict=True, **options)


def fingerprint(value):
    """Plain values that are equal only where every tensor is, bit for bit."""
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        return str(value.dtype), tuple(value.shape), bytes(flat.view(torch.uint8).tolist())
    if isinstance(value, dict):
        return {key: fingerprint(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fingerprint(item) for item in value]
    return value


def fit(fitted, callbacks, loaders=None, **options):
    """Fit and tell all that a watch must not change; its own keys left out."""
    torch.manual_seed(7)
    runner = trainer(NAMESPACES[0], callbacks, **options)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        runner.fit(fitted, **({"train_dataloaders": data()} if loaders is None else loaders))
    users = lambda metrics: {key: v for key, v in metrics.items() if not key.startswith("gradwatch/")}  # noqa: E731
    told = {
        "weights": dict(fitted.state_dict()),
        "optimizers": [one.state_dict() for one in runner.optimizers],
        "random numbers": torch.get_rng_state(),
        "progress bar": dict(runner.progress_bar_metrics),
        "callback metrics": users(runner.callback_metrics),
        "logged metrics": dict(runner.logged_metrics),
        "steps": (runner.global_step, runner.current_epoch, runner.should_stop),
        "hooks": [bool(m._forward_hooks or m._backward_hooks or m._forward_pre_hooks) for m in fitted.modules()],
        "warnings": sorted({str(w.message) for w in warned if _counts(w)}),
    }
    return fingerprint(told)


def _counts(warned):
    """Not that the fit to compare with left its checkpoints here, nor what Lightning says once a process."""
    message = str(warned.message)
    own = "exists and is not empty" in message or message.endswith("If this was on purpose, ignore this warning...")
    return not (own or issubclass(warned.category, ResourceWarning))


def nothing_to_say(build):
    """Measured on all steps, bit for bit the same fit, and neither finding nor note."""

    def outcome(callbacks):
        torch.manual_seed(0)
        return fit(build(), callbacks, max_epochs=2)

    plainly, watch = outcome([]), strict()
    assert outcome([watch]) == plainly
    assert len(watch.report.frames) == 16
    assert (watch.report.findings, watch.report.notes) == ((), ())
