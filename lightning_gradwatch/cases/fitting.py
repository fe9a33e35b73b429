"""One quiet fit of one case on the CPU."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lightning_gradwatch import _lightning
from lightning_gradwatch.cases.catalogue import Case
from lightning_gradwatch.cases.classifier import classifier
from lightning_gradwatch.cases.data import held_out, training_batches

LOG_EVERY = 5

# What Lightning says about a fit that is small on purpose (one worker, few batches, a GPU that is not used), and what a
# torch newer than it says about Lightning's own code.
_TOLD_ON_PURPOSE = (
    r".*does not have many workers.*",
    r".*is smaller than the logging interval.*",
    r".*GPU available but not used.*",
    r".*isinstance\(treespec, LeafSpec\)` is deprecated.*",
)
_CHATTER = tuple(f"{name}{part}" for name in _lightning.NAMESPACES for part in ("", ".utilities.rank_zero"))


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fit that is over, and how well the network does on digits that it was not trained on."""

    case: Case
    steps: int
    loss: float  # mean cross entropy, nats
    accuracy: float  # 0..1
    module: Any  # the LightningModule
    trainer: Any


def fit(
    case: Case,
    steps: int | None = None,
    *,
    callbacks: Sequence[Any] = (),
    logger: Any = False,
    namespace: str | None = None,
    seed: int = 0,
) -> Fit:
    """Trains the case's network by Adam, learning rate 1e-3, batches of 64; the same numbers for the same seed.

    ``steps`` is by default the case's own.  Nothing is printed or written but by the callbacks and the logger, and
    torch's global generator stays as it was.

    Raises:
        WrongArgument: ``namespace`` is not a Lightning.
        MissingExtra: scikit-learn or Lightning is not installed.
    """
    module = classifier(case.network(seed), namespace=namespace)
    batches = training_batches(seed=seed)
    steps = case.steps if steps is None else steps
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trainer = _trainer(steps, callbacks, logger, namespace)
        trainer.fit(module, batches)
    loss, accuracy = score(module.network)
    return Fit(case=case, steps=steps, loss=loss, accuracy=accuracy, module=module, trainer=trainer)


def score(network: nn.Module) -> tuple[float, float]:
    """Mean cross entropy (nats) and accuracy (0..1) on the digits held out; the network's mode stays as it was."""
    x, y = held_out()
    training = network.training
    with torch.no_grad():
        scores = network.eval()(x)
    network.train(training)
    loss = nn.functional.cross_entropy(scores, y)
    return float(loss), float((scores.argmax(dim=1) == y).float().mean())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences what Lightning says about any fit, and its warnings about a fit that is small on purpose."""
    loggers = [logging.getLogger(name) for name in _CHATTER]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for message in _TOLD_ON_PURPOSE:
            warnings.filterwarnings("ignore", message=message)
        try:
            for logger in loggers:
                logger.setLevel(logging.WARNING)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _trainer(steps: int, callbacks: Sequence[Any], logger: Any, namespace: str | None) -> Any:
    return _lightning.namespace(namespace).Trainer(
        accelerator="cpu",
        devices=1,
        max_steps=steps,
        max_epochs=-1,
        callbacks=list(callbacks),
        logger=logger,
        log_every_n_steps=LOG_EVERY,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
