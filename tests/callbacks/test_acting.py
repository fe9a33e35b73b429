"""What the watch does to a fit when it is asked to act."""

import pytest
import torch

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, data, fit, module, network, trainer
from tests.remedies.optimizers import Recorder


def test_decay_lr_scales_records_and_restores():
    watch = GradWatch(
        every_n_steps=1, on_vanishing="decay_lr", decay_factor=0.1, cooldown_steps=3, max_decays=2, min_lr=0
    )
    fitted = module(NAMESPACES[0], network(), "SGD", rate=0.1)
    runner = trainer(NAMESPACES[0], [watch], max_epochs=2)
    runner.fit(fitted, data())
    events = watch.report.events
    assert [(e.action, e.step) for e in events] == [("decay_lr", 2), ("decay_lr", 5)]
    assert [(e.old, e.new) for e in events] == [
        (pytest.approx((0.1,)), pytest.approx((0.01,))),
        (pytest.approx((0.01,)), pytest.approx((0.001,))),
    ]
    assert events[0].finding == "vanishing:loss"
    assert [frame.rate_scale for frame in watch.report.frames][:7] == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01])
    assert runner.optimizers[0].param_groups[0]["lr"] == 0.1  # the fit is over: clean again


SCHEDULERS = {
    "LambdaLR": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.2, total_steps=40),
    "CosineAnnealingLR": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 5, eta_min=0.01),
    "ReduceLROnPlateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=1),
}


@pytest.mark.parametrize("build", SCHEDULERS.values(), ids=SCHEDULERS.keys())
def test_decay_sticks_under_schedulers(build):
    def stepped(callbacks):
        fitted = module(NAMESPACES[0], network(), rate=0.1)
        optimizer = Recorder(fitted.parameters(), lr=0.1)
        scheduler = {"scheduler": build(optimizer), "interval": "step", "monitor": "train_loss"}
        fitted.configure_optimizers = lambda: {"optimizer": optimizer, "lr_scheduler": scheduler}
        trainer(NAMESPACES[0], callbacks, max_epochs=2).fit(fitted, data())
        return [rate for (rate,) in optimizer.seen]

    plain = stepped([])
    watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", decay_factor=0.1, max_decays=1, min_lr=0)
    decayed = stepped([watch])
    assert decayed[:3] == plain[:3]
    assert decayed[3:] == pytest.approx([0.1 * rate for rate in plain[3:]])


def test_min_lr_is_a_floor():
    watch = GradWatch(every_n_steps=1, on_vanishing="decay_lr", decay_factor=0.1, cooldown_steps=0, min_lr=5e-4)
    fit(watch)
    assert [(e.old, e.new) for e in watch.report.events] == [((1e-3,), (5e-4,))]


def test_stop_ends_the_fit():
    watch = GradWatch(on_vanishing="stop")
    runner = trainer(NAMESPACES[0], [watch])
    runner.fit(module(NAMESPACES[0], network()), data())
    assert runner.global_step == 3
    assert [e.action for e in watch.report.events] == ["stop"]


@pytest.mark.parametrize("choice", ["warn", "ignore"])
def test_others_do_nothing(choice, caplog):
    watch = GradWatch(on_vanishing=choice)
    fit(watch)
    assert watch.report.events == ()
    assert len(watch.report.findings) == 1
    assert any("VANISHING gradient" in r.message and "why" in r.message for r in caplog.records) is (choice == "warn")
