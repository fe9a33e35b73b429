"""The ways to train: schedules, optimizers, accumulation, clipping, averages, the end of a fit and its resumption."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from functools import partial
from typing import Any

import torch
from fit import Setup
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging
from torch import nn
from torch.optim import lr_scheduler

from . import _healthy_data as data
from ._healthy_networks import he, mlp
from ._healthy_task import Task, adam, adamw, healthy, recipe, sgd

QUIET: dict[str, Any] = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
}


def network() -> nn.Sequential:
    return he(mlp(hidden=(64, 64, 64)))


def scheduled(make):
    """A schedule of which ``make`` says what the optimizer gets."""
    return recipe(network, optimizer=adam(3e-3), schedule=make)


def warm_up(optimizer):
    return lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, step / 60))


def warm_cosine(optimizer):
    warm = lr_scheduler.LinearLR(optimizer, 0.01, total_iters=30)
    return lr_scheduler.SequentialLR(optimizer, [warm, lr_scheduler.CosineAnnealingLR(optimizer, 170)], [30])


class Average(Callback):
    """An exponential average of the weights, kept beside the fit."""

    def on_train_start(self, trainer, pl_module) -> None:
        self.average = {name: p.detach().clone() for name, p in pl_module.named_parameters()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        for name, p in pl_module.named_parameters():
            self.average[name].lerp_(p.detach(), 0.01)


class Kept(Callback):
    """Holds the folder of a checkpoint as long as the fit."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


def trained(seed: int, steps: int, **options) -> tuple[Task, data.Table, Trainer]:
    """A fit that has run for some steps, quietly."""
    torch.manual_seed(seed)
    table = data.digits(seed)
    module = Task(network(), table, **options)
    trainer = Trainer(
        max_steps=steps, max_epochs=-1, accelerator="cpu", default_root_dir=tempfile.gettempdir(), **QUIET
    )
    trainer.fit(module, table.loader(64, seed))
    return module, table, trainer


def resumed(seed: int, *, steps: int, **options) -> Setup:
    """The same fit, from the checkpoint of what it was after ``steps``."""
    _, table, trainer = trained(seed, steps, **options)
    kept = Kept()
    trainer.save_checkpoint(f"{kept.folder}/last.ckpt")
    torch.manual_seed(seed)
    fresh = Task(network(), table, **options)
    return Setup(fresh, table.loader(64, seed), callbacks=[kept], ckpt_path=f"{kept.folder}/last.ckpt")


def converged(seed: int, *, steps: int, rate: float) -> Setup:
    """New optimizer, weights that have learned all there is."""
    module, table, _ = trained(seed, steps)
    module.trainer = None
    return Setup(Task(module.network, table, optimizer=adam(rate)), table.loader(64, seed))


class Every(Task):
    """One closure optimizer over all rows."""

    def configure_optimizers(self):
        return torch.optim.LBFGS(self.parameters(), lr=0.5, max_iter=4)


def short_window(seed: int) -> data.Table:
    """A table of which an epoch is 22 batches: with windows of three the last window holds one."""
    return data.digits(seed)


def rmsprop(parameters):
    return torch.optim.RMSprop(parameters, lr=1e-3)


def adagrad(parameters):
    return torch.optim.Adagrad(parameters, lr=0.03)


def adafactor(parameters):
    return torch.optim.Adafactor(parameters, lr=0.02)


fit = partial(recipe, network)
FITS = (
    healthy(
        "warm-up-from-0",
        "training",
        "The first step has rate 0, the next ones hardly more.",
        scheduled(warm_up),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "warm-up-cosine-to-0",
        "training",
        "Up, and down to 0: in the end nothing moves, nor should it.",
        scheduled(warm_cosine),
        steps=200,
    ),
    healthy(
        "linear-decay-to-0",
        "training",
        "The rate falls to 0.",
        scheduled(partial(lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.0, total_iters=200)),
        steps=200,
    ),
    healthy(
        "one-cycle",
        "training",
        "Up by 25 and down by 10,000.",
        scheduled(partial(lr_scheduler.OneCycleLR, max_lr=0.01, total_steps=210)),
        steps=200,
    ),
    healthy(
        "rate-tiny-with-progress",
        "training",
        "A rate of 6e-5: slow, and it gets on.",
        fit(optimizer=adam(6e-5), batch=16),
        steps=500,
    ),
    healthy("sgd-plain", "training", "No momentum.", fit(optimizer=sgd(0.05, 0.0)), steps=200),
    healthy(
        "sgd-large-but-stable",
        "training",
        "A rate near the edge: noisy, and stable.",
        fit(optimizer=sgd(0.05), batch=16),
        steps=200,
        seeds=(0, 1),
    ),
    healthy(
        "adamw-strong-decay",
        "training",
        "Decay 1: weights shrink, gradients go on.",
        fit(optimizer=adamw(3e-3, 1.0)),
        steps=200,
    ),
    healthy("rmsprop", "training", "RMSprop.", fit(optimizer=rmsprop)),
    healthy("adagrad", "training", "Adagrad's steps shrink for ever.", fit(optimizer=adagrad)),
    healthy("adafactor", "training", "Second moments by rows and columns.", fit(optimizer=adafactor), steps=200),
    healthy(
        "lbfgs-whole-table",
        "training",
        "Several closures a step, all rows at once.",
        recipe(partial(mlp, 13, 3, (16,), nn.Tanh), partial(data.standardised, "wine"), batch=200, task=Every),
        steps=25,
    ),
    healthy(
        "accumulate-3-short-last",
        "training",
        "The last window of an epoch holds one batch and is a third as large.",
        fit(short_window, batch=64, trainer=lambda: {"accumulate_grad_batches": 3}),
        steps=90,
        seeds=(0, 1),
    ),
    healthy(
        "clip-by-norm",
        "training",
        "Every step is clipped.",
        fit(trainer=lambda: {"gradient_clip_val": 0.1}, optimizer=sgd(0.5)),
    ),
    healthy(
        "clip-by-value",
        "training",
        "Clipped element by element.",
        fit(trainer=lambda: {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"}),
    ),
    healthy(
        "weight-averaging-swa",
        "training",
        "Lightning's stochastic weight averaging.",
        fit(trainer=lambda: {"max_epochs": 8}, callbacks=lambda: [StochasticWeightAveraging(1e-3, swa_epoch_start=4)]),
        steps=200,
    ),
    healthy("weight-averaging-ema", "training", "An average beside the fit.", fit(callbacks=lambda: [Average()])),
    healthy(
        "converged-704-steps",
        "training",
        "Everything is learned: all gradients are small.",
        partial(converged, steps=704, rate=1e-4),
        steps=150,
        seeds=(0, 1),
    ),
    healthy("long-fit-past-convergence", "training", "The loss goes from 2 to 1e-4 in one fit.", fit(), steps=1000),
    healthy(
        "resumed-while-learning",
        "training",
        "Resumed from a checkpoint, mid-way.",
        partial(resumed, steps=66),
        steps=200,
    ),
    healthy(
        "resumed-converged",
        "training",
        "Resumed when all is learned.",
        partial(resumed, steps=704),
        steps=850,
        seeds=(0, 1),
    ),
)
