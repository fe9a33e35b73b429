"""When a watch heals, takes back, and makes ready for the weights of a treated network."""

import importlib

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from lightning_gradwatch import GradWatch, ReplaceActivation
from lightning_gradwatch.cases.data import held_out, training_batches
from lightning_gradwatch.cases.fitting import quiet
from lightning_gradwatch.records import Event
from lightning_gradwatch.remedies.surgery.marker import marker_of
from tests.callbacks.fits import NAMESPACES
from tests.fits.healing import actions, fitted, healer, sick, trainer

pl = importlib.import_module(NAMESPACES[0])
REMEDIES = ["ReplaceActivation", "Initialize"]


def held():
    return DataLoader(TensorDataset(*held_out()), 64)


class OnTrial(type(sick())):
    def test_step(self, batch, batch_idx):
        self.log("loss", torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1]))


def on_trial():
    module = sick()
    module.__class__ = OnTrial
    return module


@pytest.fixture(scope="module")
def healed(tmp_path_factory):
    """The checkpoint of a healed fit, and its loss on what is held out."""
    path, module = tmp_path_factory.mktemp("healed") / "healed.ckpt", on_trial()
    made = fitted(module, [healer(remedies=REMEDIES)])
    made.save_checkpoint(path)
    with quiet():
        (scores,) = trainer().test(module, held(), verbose=False)
    return path, scores["loss"]


def test_a_watch_makes_a_new_network_ready_for_treated_weights(healed):
    path, loss = healed
    module = on_trial()
    with quiet():
        watched = trainer(callbacks=[GradWatch(strict=True, verbose=False)])
        (scores,) = watched.test(module, held(), ckpt_path=path, verbose=False)
    assert scores["loss"] == loss
    assert marker_of(module).treat is None


def test_without_a_watch_torch_says_what_is_missing(healed):
    path, _ = healed
    with (
        pytest.raises(RuntimeError, match=r"treated with ReplaceActivation\(\).*callbacks=\[ReplaceActivation"),
        quiet(),
    ):
        trainer().test(on_trial(), held(), ckpt_path=path, verbose=False)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*lightning_gradwatch: these weights belong to a network"):
        on_trial().load_state_dict(torch.load(path, weights_only=True)["state_dict"])


def test_a_network_that_is_only_tested_keeps_no_hook():
    module = on_trial()
    with quiet():
        trainer(callbacks=[GradWatch(strict=True, verbose=False)]).test(module, held(), verbose=False)
    assert marker_of(module) is None
    assert not module._load_state_dict_pre_hooks


def test_what_cannot_be_taken_back_after_a_resume_does_not_keep_the_fit_from_being_healed():
    watch = healer()
    watch._watch.casebook.events.append(
        Event(
            step=1, action="treat", finding="", reason="", treatment="Cure()", effect="worse", effect_sentence="worse."
        )
    )
    assert watch._watch._last_treatment() is None
    with quiet():
        made = trainer(callbacks=[watch], steps=30)
        watch._goes_on = lambda *_: True  # a fit that goes on with what is known
        made.fit(sick(), training_batches())
    assert actions(watch) == ["treat", "treat"]


def test_a_treatment_that_stands_can_be_taken_back_until_the_fit_ends():
    watch, stood = healer(remedies=REMEDIES), []

    class Asks(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            last = watch._watch._last_treatment()
            stood.append(None if last is None else last.treatment)

    fitted(sick(), [watch, Asks()], steps=20)
    (event,) = watch.report.events
    assert stood == [None] * event.step + [event.treatment] * (20 - event.step)
    assert watch._watch._last_treatment() is None


def test_a_stream_keeps_batches_while_there_may_be_something_to_cure():
    batches = list(training_batches())
    watch, kept = healer(remedies=REMEDIES), []

    class Counts(pl.Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            kept.append(len(watch._watch.healer.batches))

    with quiet():
        trainer(callbacks=[watch, Counts()], steps=100).fit(sick(), iter(batches * 5))
    assert kept[:3] == [1, 2, 3]
    assert max(kept) <= 12
    assert actions(watch)[0] == "treat"
    assert not watch._watch.healer.batches


def test_a_healer_makes_treatments_of_the_users_own_again():
    class Mine(ReplaceActivation):
        name = "Mine"

    spec = {**Mine("gelu").spec(), "where": ["network"]}
    made = healer(remedies=[Mine()])._watch.healer._made(spec)
    assert type(made) is Mine
    assert (made.to, made.where) == ("gelu", ["network"])
