"""``heal`` takes what ``Trainer.fit`` takes."""

import importlib

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import GradWatch, heal
from lightning_gradwatch.cases.data import held_out, training_batches
from lightning_gradwatch.cases.fitting import quiet
from lightning_gradwatch.errors import WrongArgument
from tests.callbacks.fits import NAMESPACES
from tests.fits.healing import accuracy, healer, sick, trainer
from tests.fits.modules import fingerprint
from tests.fits.resuming import MARKS

pl = importlib.import_module(NAMESPACES[0])
pytestmark = MARKS


def held():
    return DataLoader(TensorDataset(*held_out()), 64)


class Digits(pl.LightningDataModule):
    def train_dataloader(self):
        return training_batches()

    def val_dataloader(self):
        return held()


class Validated(type(sick())):
    """Counts its validations."""

    validations = 0

    def validation_step(self, batch, batch_idx):
        self.validations += 1


def validated():
    module = sick()
    module.__class__ = Validated
    return module


@pytest.mark.parametrize("by", ["loaders", "datamodule"])
def test_data_comes_as_for_a_fit(by):
    module = validated()
    data = {"datamodule": Digits()} if by == "datamodule" else {}
    loaders = () if by == "datamodule" else (training_batches(), held())
    with quiet():
        report = heal(trainer(), module, *loaders, **data)
    assert [event.action for event in report.events] == ["treat"]
    assert module.validations > 0


def test_a_fit_that_was_healed_is_resumed_by_heal(tmp_path):
    path = tmp_path / "healed.ckpt"
    with quiet():
        made = trainer(steps=60)
        first = heal(made, sick(), training_batches())
        made.save_checkpoint(path)
        module = sick()
        second = heal(trainer(steps=100), module, training_batches(), ckpt_path=path)
    assert second.events[0].treatment == first.events[0].treatment
    assert len(second.events) == 1
    assert accuracy(module) > 0.7


def test_twice_with_one_trainer_is_one_watch():
    made, module = trainer(steps=60), sick()
    with quiet():
        heal(made, module, training_batches())
        made.fit_loop.epoch_loop.max_steps = 90
        report = heal(made, module, training_batches())
    assert len([one for one in made.callbacks if isinstance(one, GradWatch)]) == 1
    assert [event.action for event in report.events] == ["treat"]
    assert report.frames[-1].step == 89


def test_twice_with_another_trainer_leaves_a_healed_network_alone():
    module = sick()
    with quiet():
        heal(trainer(steps=60), module, training_batches())
        parts = [type(part).__name__ for part in module.modules()]
        report = heal(trainer(steps=60), module, training_batches())
    assert not [event for event in report.events if event.action == "treat"]
    assert [type(part).__name__ for part in module.modules()] == parts


def test_a_watch_of_the_users_keeps_its_settings_and_heals_alike():
    own, given = sick(), sick()
    watch = GradWatch(verbose=False, strict=True, every_n_steps=7)
    with quiet():
        heal(trainer(), own, training_batches(), seed=2)
        heal(trainer(callbacks=[watch]), given, training_batches(), seed=2)
    assert watch.settings == GradWatch(verbose=False, strict=True, every_n_steps=7).settings
    assert fingerprint(own.state_dict()) == fingerprint(given.state_dict())


def test_settings_come_back_after_an_exception():
    class Breaks(type(sick())):
        def training_step(self, batch, batch_idx):
            raise RuntimeError("so")

    module, watch = sick(), GradWatch(verbose=False)
    module.__class__ = Breaks
    with pytest.raises(RuntimeError, match="so"), quiet():
        heal(trainer(callbacks=[watch]), module, training_batches())
    assert watch.settings.on_vanishing == "warn"


def test_no_trial_of_a_remedy_that_is_not_allowed():
    watch = healer(remedies=["WarmUp"])
    with quiet():
        trainer(callbacks=[watch], steps=30).fit(sick(), training_batches())
    assert watch.report.events[0].reason == "no remedy that can be carried out is left for it"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"budget": 0.5}, "`budget` must be a finite number of at least 1"),
        ({"remedies": ["Aspirin"]}, "`remedies` must be treatments, or names of them, got 'Aspirin'"),
        ({"remedies": "all"}, '`remedies` must be "auto", or a list'),
        ({"seed": -1}, "`seed` must be a whole number"),
    ],
)
def test_wrong_arguments(wrong, message):
    made = trainer()
    with pytest.raises(WrongArgument, match=message):
        heal(made, sick(), training_batches(), **wrong)
    assert not any(isinstance(one, GradWatch) for one in made.callbacks)


def test_a_loop_is_not_healed():
    model = torch.nn.Linear(1, 1)
    rule = "`on_vanishing` must be one of the words below in a loop: to be healed, a fit needs a Trainer"
    from lightning_gradwatch import LoopWatch

    with pytest.raises(WrongArgument, match=rule):
        LoopWatch(model, torch.optim.SGD(model.parameters(), 0.1), on_vanishing="heal")
