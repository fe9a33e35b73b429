"""Exceptions from any hook, and from below Lightning."""

import functools
import importlib

import pytest
import torch
from torch import nn

from tests.callbacks.fits import NAMESPACES, data, trainer
from tests.fits.loaders import validating
from tests.fits.modules import plain, returns, strict, validated
from tests.fits.test_trainers import open_event_files, steps_on_disk

pl = importlib.import_module(NAMESPACES[0])
BOTH = (
    *("setup", "on_fit_start", "on_train_start", "on_train_epoch_start", "on_train_batch_start"),
    *("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step"),
    *("on_train_batch_end", "on_validation_start", "on_validation_epoch_start", "on_validation_batch_start"),
    *("on_validation_batch_end", "on_validation_epoch_end", "on_validation_end", "on_train_epoch_end"),
    *("on_train_end", "on_fit_end", "teardown"),
)
OF_MODULE = (
    *BOTH,
    *("configure_model", "configure_optimizers", "configure_callbacks", "prepare_data", "training_step", "backward"),
    *("optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping", "lr_scheduler_step", "validation_step"),
    *("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer"),
)
OF_CALLBACK = (*BOTH, "on_sanity_check_start", "on_sanity_check_end")


class Boom(Exception):
    """The user's own."""


def bomb(at=5):
    """A function that raises on the call after so many."""
    calls = iter(range(at))

    def tick(*args, **kwargs):
        if next(calls, None) is None:
            raise Boom

    return tick


def fuse(hook):
    """Hooks of a batch go off in the sixth."""
    often = ("batch", "backward", "zero_grad", "optimizer_step", "training_step", "clipping", "scheduler_step")
    return bomb(5 if any(word in hook for word in often) and "validation" not in hook else 0)


def armed(hook, base=None):
    """A module whose hook raises Boom."""
    fitted, tick = base or fitted_module(), fuse(hook)
    own = fitted.__dict__.pop(hook, None)  # what hangs on the instance would hide the class's

    def method(self, *args, **kwargs):
        tick()
        return (own or functools.partial(getattr(super(kind, self), hook)))(*args, **kwargs)

    def step(self, batch, batch_idx):  # Lightning reads the names of a step's arguments
        return method(self, batch, batch_idx)

    kind = type("Armed", (type(fitted),), {hook: step if hook in ("training_step", "validation_step") else method})
    fitted.__class__ = kind
    return fitted


def fitted_module():
    def optimizers(fitted):
        def configure():
            optimizer = torch.optim.SGD(fitted.parameters(), 0.01)
            scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

        return configure

    return validated(plain(configure_optimizers=optimizers))


def ends(fitted, callbacks, raised=Boom, **options):
    """Fit until it raises; everything of the watch is as after a fit that ended well, and it can be used again."""
    [watch] = [one for one in callbacks if hasattr(one, "report")]
    logger = pl.loggers.TensorBoardLogger("logs")
    runner = trainer(NAMESPACES[0], callbacks, logger=logger, max_epochs=2, val_check_interval=4, **options)
    with pytest.raises(raised) as caught:
        runner.fit(fitted, **validating()())
    assert caught.type is raised
    assert not watch.is_off
    nothing_left_behind(runner, fitted, watch)
    steps = [frame.step for frame in watch.report.frames]
    assert not steps or steps_on_disk("logs") == steps
    trainer(NAMESPACES[0], [watch], max_steps=3).fit(plain(), data())
    assert [frame.step for frame in watch.report.frames] == [0, 1, 2]
    return steps


def nothing_left_behind(runner, fitted, watch):
    for optimizer in runner.optimizers:
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
        assert [group["lr"] for group in optimizer.param_groups] == [0.01]
    for module in fitted.modules():
        assert not (module._forward_hooks)
        assert not (module._forward_pre_hooks)
        assert not (module._backward_hooks)
    assert not any(parameter._backward_hooks for parameter in fitted.parameters())
    assert watch._watch.live is None
    assert not open_event_files()


@pytest.mark.parametrize("hook", OF_MODULE)
def test_exception_in_the_module(hook):
    ends(armed(hook), [strict(on_vanishing="decay_lr")])


@pytest.mark.parametrize("place", ["before us", "after us"])
@pytest.mark.parametrize("hook", OF_CALLBACK)
def test_exception_in_another_callback(hook, place):
    tick, watch = fuse(hook), strict(on_vanishing="decay_lr")
    other = type("Other", (pl.Callback,), {hook: lambda self, *args, **kwargs: tick()})()
    ends(fitted_module(), [other, watch] if place == "before us" else [watch, other])


class Bursts(torch.autograd.Function):
    """Raises in the middle of a backward pass."""

    @staticmethod
    def forward(ctx, x, tick):
        ctx.tick = tick
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.tick()
        return gradient, None


def in_backward():
    tick = bomb()

    def loss(m, batch):
        return nn.functional.cross_entropy(m.net[4:](Bursts.apply(m.net[:4](batch[0]), tick)), batch[1])

    return returns(loss)()


def in_forward():
    fitted, tick = plain(), bomb()
    fitted.net[2].register_forward_pre_hook(tick)  # the user's own hook stays
    return fitted


def in_optimizer():
    class Bad(torch.optim.SGD):
        tick = staticmethod(bomb())

        def step(self, closure=None):
            loss = super().step(closure)
            self.tick()
            return loss

    return plain(configure_optimizers=lambda m: lambda: Bad(m.parameters(), 0.01))


def in_scheduler():
    class Bad(torch.optim.lr_scheduler.LRScheduler):
        tick = staticmethod(bomb())

        def get_lr(self):
            self.tick()
            return [group["lr"] for group in self.optimizer.param_groups]

    def configure(fitted):
        optimizer = torch.optim.SGD(fitted.parameters(), 0.01)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": Bad(optimizer), "interval": "step"}}

    return plain(configure_optimizers=lambda m: lambda: configure(m))


@pytest.mark.parametrize(
    ("build", "steps"),
    [(in_backward, 5), (in_optimizer, 5), (in_scheduler, 4)],
    ids=["inside the backward", "optimizer.step", "scheduler.step"],
)
def test_exception_under_lightning(build, steps):
    assert ends(validated(build()), [strict()]) == list(range(steps))


def test_exception_in_the_forward():
    watch = strict()
    with pytest.raises(Boom):
        trainer(NAMESPACES[0], [watch]).fit(in_forward(), data())
    assert [frame.step for frame in watch.report.frames] == [0, 1, 2, 3, 4]


def test_exception_in_the_data_and_in_the_user_s_logger():
    def bad():
        yield from list(data())[:5]
        raise Boom

    class Bad(pl.loggers.CSVLogger):
        tick = staticmethod(bomb(20))

        def log_metrics(self, metrics, step=None):
            if "train_loss" in metrics:
                self.tick()

    for loader, logger in ((bad(), False), (data(30), Bad("logs"))):
        watch = strict(every_n_steps=2)
        with pytest.raises(Boom):
            trainer(NAMESPACES[0], [watch], logger=logger).fit(plain(), loader)
        assert watch.report.frames[-1].step == (3 if logger is False else 20)


def test_exception_in_on_exception_of_another_callback():
    """Lightning never tells those after it in the list: the report is whole anyway."""

    def boom(self, trainer, pl_module, exception):
        raise Boom

    other = type("Other", (pl.Callback,), {"on_exception": boom})()
    watch = strict()
    with pytest.raises(Boom):
        trainer(NAMESPACES[0], [other, watch]).fit(armed("on_train_batch_end"), **validating()())
    assert len(watch.report.frames) == 6
    trainer(NAMESPACES[0], [watch]).fit(plain(), data())
    assert len(watch.report.frames) == 8
