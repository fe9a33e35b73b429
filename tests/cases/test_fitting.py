"""One quiet fit: repeatable, silent, and the same in both Lightnings."""

import logging
import math

import pytest
import torch
from torch import nn

from lightning_gradwatch._lightning import NAMESPACES, namespace
from lightning_gradwatch.cases import CASES, find, fit
from lightning_gradwatch.cases.fitting import quiet, score


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_case_takes_a_training_step(case):
    done = fit(case, 1)
    moved = [
        not torch.equal(before, after)
        for before, after in zip(case.network().parameters(), done.module.network.parameters(), strict=True)
    ]
    assert any(moved)
    assert math.isfinite(done.loss)


@pytest.mark.parametrize("name", NAMESPACES)
def test_same_weights_for_the_same_seed_in_either_lightning(name):
    pytest.importorskip(name)
    default = fit(find("relu-he"), 3).module.network.parameters()
    forced = fit(find("relu-he"), 3, namespace=name).module.network.parameters()
    assert all(map(torch.equal, default, forced))


def test_cure_learns_what_the_sick_network_does_not():
    sick, cure = fit(find("sigmoid-default")), fit(find("tanh-xavier"))
    assert (sick.accuracy < 0.15, cure.accuracy > 0.8) == (True, True)
    assert cure.loss < 1 < sick.loss


def test_fit_is_silent_and_leaves_the_global_generator_and_the_folder_alone(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = torch.get_rng_state()
    fit(find("relu-he"), 2)
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.get_rng_state(), before)
    assert not list(tmp_path.iterdir())


def test_callbacks_and_logger_see_the_fit():
    steps = []

    class Count(namespace().Callback):
        def on_train_batch_end(self, trainer, *args):
            steps.append(trainer.global_step)

    done = fit(find("relu-he"), 3, callbacks=[Count()])
    assert steps == [1, 2, 3]
    assert "train_loss" in done.trainer.callback_metrics


def test_case_says_how_many_steps_by_default():
    assert fit(find("tanh-xavier")).trainer.global_step == find("tanh-xavier").steps


def test_quiet_puts_the_loggers_back_also_after_an_error():
    logger = logging.getLogger("lightning.pytorch")
    before, inside = logger.level, []

    def interrupted():
        with quiet():
            inside.append(logger.level)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert inside == [logging.WARNING]
    assert logger.level == before


def test_score_of_a_network_that_says_zero_to_everything():
    network = nn.Linear(64, 10)
    nn.init.zeros_(network.weight)
    nn.init.zeros_(network.bias)
    loss, _ = score(network)
    assert loss == pytest.approx(math.log(10))
    assert network.training
