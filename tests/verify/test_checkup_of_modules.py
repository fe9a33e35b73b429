"""LightningModules without a Trainer, in a checkup."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lightning_gradwatch import checkup
from lightning_gradwatch._lightning import NAMESPACES, namespace
from lightning_gradwatch.cases import find
from lightning_gradwatch.cases.classifier import classifier
from lightning_gradwatch.cases.data import training_batches
from lightning_gradwatch.records import CauseKind, Kind
from lightning_gradwatch.verify import notes
from tests.verify.networks import BATCH, X, Y, deep, same, small, state


@pytest.mark.parametrize("lightning", NAMESPACES)
def test_a_lightning_module_and_its_own_optimizer(lightning):
    module = classifier(find("relu-default").network(), namespace=lightning)
    before = state(module)
    report = checkup(module, training_batches())
    assert same(before, state(module))
    assert report.worst.causes[0].kind is CauseKind.INITIALIZATION
    assert notes.on_a_copy(12, "Adam") in report.notes
    assert report.frames[0].rates == (1e-3,)


def test_by_hand_with_several_optimizers():
    class Two(namespace().LightningModule):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False
            self.first, self.second = small(), deep(width=6)

        def training_step(self, batch, batch_idx):
            x = batch[0]
            one, two = self.optimizers()
            for optimizer, loss in ((one, self.first(x)), (two, self.second(x))):
                self.toggle_optimizer(optimizer)
                optimizer.zero_grad()
                self.manual_backward(loss.square().mean())
                self.clip_gradients(optimizer, gradient_clip_val=1e-3, gradient_clip_algorithm="norm")
                optimizer.step()
                self.untoggle_optimizer(optimizer)
            self.lr_schedulers().step()

        def configure_optimizers(self):
            one = torch.optim.SGD(self.first.parameters(), lr=0.1)
            two = torch.optim.Adam(self.second.parameters())
            return [one, two], [torch.optim.lr_scheduler.StepLR(one, 1, gamma=0.5)]

    report = checkup(Two(), (X, Y))
    assert report.worst.layers[0] == "second.0"
    assert [frame.rates[0] for frame in report.frames[:3]] == [0.1, 0.05, 0.025]
    assert [ledger.name for ledger in report.frames[0].ledgers] == ["loss", "loss[1]"]
    assert report.frames[0].optimizers[0].clip_ratio < 0.5
    assert notes.on_a_copy(12, "SGD and Adam") in report.notes


class Late(namespace().LightningModule):
    """Made in setup, warmed up, logging everything, with data of its own."""

    def setup(self, stage):
        self.layers = deep()
        self.data = TensorDataset(*BATCH)

    def on_train_start(self):
        self.logger.log_hyperparams({"a": 1})
        self.began = True

    def training_step(self, batch):
        x, y = batch
        loss = nn.functional.cross_entropy(self.layers(x), y)
        self.log("loss", loss, prog_bar=True, on_epoch=True)
        self.log_dict({"epoch": float(self.current_epoch), "step": float(self.global_step)})
        self.logger.experiment.add_scalar("x", 1.0)
        assert self.began
        assert self.trainer.is_global_zero
        return {"loss": loss}

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.5)
        total = self.trainer.estimated_stepping_batches
        warm = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / total)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": warm, "interval": "step"}}

    def train_dataloader(self):
        return DataLoader(self.data, 8)


def test_a_module_that_leans_on_its_trainer_gets_by_without_one():
    module = Late()
    report = checkup(module)
    assert report.worst.kind is Kind.VANISHING
    assert report.frames[0].rates == (0.5,), "a warm-up's first rate of 0 would move nothing"
    assert not hasattr(module, "layers")


def test_what_needs_a_real_trainer_is_told_how_to_do_without():
    class Needy(Late):
        def training_step(self, batch):
            return self.trainer.strategy.broadcast(0)

    with pytest.raises(AttributeError, match=r"so that self.trainer.strategy is not there: give loss="):
        checkup(Needy())


def test_a_loss_of_ones_own_goes_round_the_training_step():
    class Needy(namespace().LightningModule):
        def __init__(self):
            super().__init__()
            self.layers = small()

        def forward(self, x):
            return self.layers(x)

        def training_step(self, batch, batch_idx):
            raise AssertionError("must not run")

    report = checkup(Needy(), (X, Y), loss=lambda output, batch: output.square().mean(), batches=2)
    assert report.frames[0].loss > 0
    assert report.forecast.layer == "layers.0"


@pytest.mark.parametrize("optimizers", [None, ZeroDivisionError], ids=["none", "raises"])
def test_without_an_optimizer_adam_takes_its_place(optimizers):
    class Bare(Late):
        def configure_optimizers(self):
            if optimizers is not None:
                raise optimizers("by zero")

    report = checkup(Bare(), batches=2)
    reason = "it gave none" if optimizers is None else "ZeroDivisionError: by zero"
    assert notes.no_optimizer(reason) in report.notes
    assert len(report.frames) == 2


def test_steps_that_a_module_leaves_out_are_counted():
    class Picky(Late):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch) if batch_idx % 2 else None

    report = checkup(Picky(), batches=6)
    assert notes.without_loss(3, 6) in report.notes
    assert [frame.step for frame in report.frames] == [1, 3, 5]


def test_a_backward_that_goes_round_lightning_is_said():
    class Direct(Late):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch):
            nn.functional.cross_entropy(self.layers(batch[0]), batch[1]).backward()
            self.optimizers().step()

    report = checkup(Direct(), batches=2)
    assert notes.BLIND in report.notes
    assert report.forecast is None
    assert report.frames[0].norm > 0


def test_data_that_a_module_holds_is_not_copied():
    class Held(Dataset):
        def __len__(self):
            return 32

        def __getitem__(self, index):
            return BATCH[0][index], BATCH[1][index]

        def __deepcopy__(self, memo):
            raise AssertionError("must not be copied")

    class Holder(Late):
        def __init__(self):
            super().__init__()
            self.held = Held()

        def train_dataloader(self):
            return DataLoader(self.held, 8)

    assert len(checkup(Holder(), batches=2).frames) == 2


def test_lbfgs_looks_as_often_as_it_likes():
    class Second(Late):
        def configure_optimizers(self):
            return torch.optim.LBFGS(self.parameters(), lr=0.1, max_iter=3)

    report = checkup(Second(), batches=3)
    assert [len(frame.ledgers) for frame in report.frames] == [1, 1, 1]
    assert notes.on_a_copy(3, "LBFGS") in report.notes
