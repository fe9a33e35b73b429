"""A fit that is interrupted while the watch is awake, or about to wake, measures the steps that it would have."""

import pytest
import torch

from lightning_gradwatch import GradWatch
from tests.callbacks.fits import NAMESPACES, module, trainer
from tests.fits.resuming import EPOCHS, MARKS, STEPS, Batches
from tests.fits.test_resume import Saving
from tests.fits.test_wakes_up import RARELY, fades

pytestmark = MARKS
ONSET = 47
STOPS = [40, 48, 50, 51, 53, 61, 70]


def deep():
    torch.manual_seed(0)
    layers = [torch.nn.Linear(64, 8), *(torch.nn.Linear(8, 8) for _ in range(10))]
    for layer in layers:
        torch.nn.init.xavier_uniform_(layer.weight, 5 / 3)
    return torch.nn.Sequential(*(one for layer in layers for one in (layer, torch.nn.Tanh())), torch.nn.Linear(8, 10))


def run(save=None, ckpt=None):
    watch = GradWatch(every_n_steps=RARELY, strict=True, verbose=False)
    sicken = lambda fitted, batch_idx: fades(fitted.net) if fitted.trainer.global_step == ONSET else None  # noqa: E731
    fitted = module(NAMESPACES[0], deep(), "SGD", rate=0.01, on_step=sicken)
    callbacks = [watch, Saving(save)] if save else [watch]
    trainer(NAMESPACES[0], callbacks, max_epochs=EPOCHS, enable_checkpointing=bool(save)).fit(
        fitted, Batches(), ckpt_path=ckpt
    )
    return watch.report, watch._watch.wakefulness.state()


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("awake")
    report, state = run(save=folder)
    assert {51, 52, 53} <= {frame.step for frame in report.frames}
    assert [finding.kind for finding in report.findings] == ["vanishing"]
    return folder, report, state


@pytest.mark.parametrize("stop", STOPS)
def test_resumed_it_measures_the_steps_of_the_uninterrupted_fit(straight, stop):
    folder, report, state = straight
    resumed, own = run(ckpt=folder / f"{stop}.ckpt")
    assert resumed.frames == report.frames
    assert resumed.findings == report.findings
    assert own == state


@pytest.mark.slow
@pytest.mark.parametrize("stop", range(1, STEPS))
def test_resumed_at_every_step(straight, stop):
    test_resumed_it_measures_the_steps_of_the_uninterrupted_fit(straight, stop)
