"""Precision, clipping, accumulation, schedules, manual optimisation: a fit is healed as it is trained."""

import importlib

import pytest
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger

from lightning_gradwatch import (
    ClipGradients,
    Initialize,
    InsertNormalization,
    ReplaceActivation,
    SwitchOptimizer,
    WarmUp,
)
from lightning_gradwatch.callbacks import healing
from lightning_gradwatch.remedies.surgery.at_step import running_on
from tests.callbacks.fits import NAMESPACES
from tests.fits.healing import STEPS, accuracy, actions, fitted, healer, sick

pl = importlib.import_module(NAMESPACES[0])
CURE = (ReplaceActivation("relu"), Initialize("he"))


@pytest.fixture
def tries(monkeypatch):
    """Have one cure tried, whatever the diagnosis names."""

    def only(*cure):
        monkeypatch.setattr(healing, "candidates", lambda case, allowed: [cure])

    return only


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bf16-mixed"},
        {"gradient_clip_val": 0.5},
        {"gradient_clip_val": 0.1, "gradient_clip_algorithm": "value"},
        {"accumulate_grad_batches": 2},
    ],
    ids=str,
)
def test_is_healed(options):
    module, watch = sick(), healer()
    made = fitted(module, [watch], **options)
    assert actions(watch) == ["treat"]
    assert made.global_step == STEPS
    assert accuracy(module) > 0.7


class Windows(pl.Callback):
    """Which batch of its accumulation window is at hand when something is done."""

    def __init__(self, watch):
        self.watch, self.at = watch, []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if len(self.at) < len(self.watch.report.events):
            self.at.append(trainer.fit_loop._should_accumulate())


def test_nothing_is_done_in_the_middle_of_a_window():
    watch = healer()
    seen = Windows(watch)
    fitted(sick(), [watch, seen], accumulate_grad_batches=2)
    assert seen.at == [False]


SCHEDULES = {
    "StepLR": lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 20, 0.5),
    "OneCycleLR": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=STEPS + 1),
    "ReduceLROnPlateau": lambda optimizer: torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1000),
}


def scheduled(schedule, kind=torch.optim.Adam, rate=1e-3):
    module = sick()

    def configure_optimizers():
        optimizer = kind(module.parameters(), lr=rate)
        scheduler = {"scheduler": SCHEDULES[schedule](optimizer), "interval": "step", "monitor": "train_loss"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    module.configure_optimizers = configure_optimizers
    return module


class Rates(pl.Callback):
    """The rates that the schedule has written, batch by batch."""

    def __init__(self):
        self.seen = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


@pytest.mark.parametrize("cure", [(InsertNormalization(),), (*CURE, SwitchOptimizer("rmsprop"))], ids=str)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_go_on_as_if_nothing_had_been(schedule, cure, tries):
    tries(*cure)
    module, watch, rates, plain = scheduled(schedule), healer(), Rates(), Rates()
    made = fitted(module, [watch, rates])
    fitted(scheduled(schedule), [plain])
    assert actions(watch) == ["treat"]
    assert rates.seen == plain.seen
    assert accuracy(module) > 0.25  # a tenth without
    kind = "RMSprop" if len(cure) > 1 else "Adam"
    assert type(made.optimizers[0]).__name__ == kind
    assert type(made.strategy._lightning_optimizers[0]).__name__ == f"Lightning{kind}"


def test_a_switch_under_a_schedule_steps_at_rates_that_suit_it(tries):
    tries(*CURE, SwitchOptimizer("adam"))
    module, watch = scheduled("StepLR", torch.optim.SGD, rate=0.1), healer()
    made = fitted(module, [watch])
    assert actions(watch) == ["treat"]
    (acts,) = running_on(made.optimizers[0])
    assert acts.scale.factor == pytest.approx(0.01)
    assert acts.steps > STEPS  # those of the copy too
    assert accuracy(module) > 0.4


def test_the_fit_goes_on_where_the_copies_warm_up_is(tries):
    tries(*CURE, WarmUp(60), ClipGradients(quantile=0.5))
    module, watch = sick(), healer()
    made = fitted(module, [watch])
    (event,) = watch.report.events
    ahead = int(event.reason.rpartition("the copy, ")[2].split()[0])
    warm, clip = running_on(made.optimizers[0])
    assert ahead > 0
    assert warm.steps == clip.count == ahead + STEPS - (event.step + 1)


class TwoByHand(pl.LightningModule):
    """Two optimizers and a schedule, stepped by hand."""

    def __init__(self, network):
        super().__init__()
        self.automatic_optimization, self.network = False, network

    def training_step(self, batch, batch_idx):
        loss = torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        for optimizer in self.optimizers():
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        self.lr_schedulers().step()

    def configure_optimizers(self):
        deep, head = (torch.optim.Adam(part.parameters(), 1e-3) for part in (self.network[:20], self.network[20:]))
        return [deep, head], [torch.optim.lr_scheduler.StepLR(deep, 1000)]


def test_two_optimizers_by_hand():
    module, watch = TwoByHand(sick().network), healer()
    fitted(module, [watch], steps=2 * STEPS)
    assert actions(watch) == ["treat"]
    assert accuracy(module) > 0.7


class Silent(pl.LightningModule):
    """Logs nothing, which dynamo would stumble over."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def training_step(self, batch, batch_idx):
        return torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 1e-3)


def test_a_compiled_module_is_left_with_a_sentence():
    module, watch = Silent(sick().network), healer()
    fitted(torch.compile(module, backend="eager"), [watch], steps=30)
    assert actions(watch) == ["no_cure"]
    assert watch.report.events[0].reason == "It is compiled (torch.compile): edit the network before it is compiled."


def test_who_averages_weights_keeps_its_parts():
    module, watch = sick(), healer(remedies=["InsertNormalization"])
    fitted(module, [watch, StochasticWeightAveraging(1e-3, swa_epoch_start=1)], steps=60)
    assert actions(watch)[0] == "no_cure"
    assert watch.report.events[0].reason.startswith("StochasticWeightAveraging holds a copy of the network")


def test_other_callbacks_and_loggers_see_one_fit(tmp_path):
    module, watch = sick(), healer()
    saved = ModelCheckpoint(tmp_path, every_n_train_steps=25, save_top_k=-1)
    others = [
        EarlyStopping("train_loss", patience=1000, check_on_train_epoch_end=True),
        LearningRateMonitor(),
        ModelSummary(),
        saved,
    ]
    options = {"logger": CSVLogger(tmp_path), "enable_checkpointing": True, "log_every_n_steps": 1}
    made = fitted(module, [watch, *others], **options)
    assert actions(watch) == ["treat"]
    made.logger.save()
    lines = (tmp_path / "lightning_logs/version_0/metrics.csv").read_text().splitlines()
    steps = [int(line.split(",")[lines[0].split(",").index("step")]) for line in lines[1:]]
    assert sorted(set(steps)) == list(range(STEPS))
    assert len(list(tmp_path.glob("*.ckpt"))) == STEPS // 25
