"""One fit of an arm: trained as ``judgement/run_one.py`` trains it, with its score, its weights and its cost."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import logging
import math
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from twin import twins

from fit import Setup  # isort: skip  # the judgement's folder is on the path once ``twin`` is imported
from gather import Case  # isort: skip
from run_one import _score as own_score  # isort: skip

from lightning_gradwatch._lightning import namespace
from lightning_gradwatch.cases.fitting import quiet

Builder = Callable[[int], Setup]


def fit(
    one: Case,
    callbacks: Sequence[Any] = (),
    build: Builder | None = None,
    spoil: Callable[[Setup], None] | None = None,
) -> dict[str, Any]:
    """Trains a fit, or another build of it, to its end; score, steps, seconds and a digest of the weights.

    Args:
        one: the fit and its seed.
        callbacks: of the arm, behind the fit's own.
        build: the twin's builder; None: the sick fit's own.
        spoil: changes the setup before the fit.
    """
    with silence(), tempfile.TemporaryDirectory() as folder:
        seed_all(one.seed)
        setup = (build or one.fit.build)(one.seed)
        if isinstance(getattr(setup.module, "loss", None), torch.nn.Module):
            setup.module.loss = copy.deepcopy(setup.module.loss)  # one for all builds, and it counts
        if spoil is not None:
            spoil(setup)
        seed_all(one.seed)
        trainer = trainer_of(setup, [*setup.callbacks, *callbacks], one.fit.steps, folder)
        with counted() as cost:
            trainer.fit(setup.module, setup.loader, ckpt_path=setup.ckpt_path)
        return {"score": score(one, setup), **cost, "weights": digest(setup.module)}


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Nobody speaks: not Lightning, no treatment, no warning of a fit that is sick on purpose."""
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def seed_all(seed: int) -> None:
    """Python's, NumPy's and torch's numbers."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def trainer_of(setup: Setup, callbacks: Sequence[Any], steps: int, folder: str) -> Any:
    """A silent Trainer of the fit."""
    defaults: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "max_steps": steps, "max_epochs": -1}
    silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    options = {**defaults, **dict.fromkeys(silent, False), "default_root_dir": folder, **setup.trainer}
    return namespace().Trainer(**options, callbacks=list(callbacks))


@contextlib.contextmanager
def counted() -> Iterator[dict[str, Any]]:
    """Steps of all optimizers of the process, trials on copies too, and the seconds that pass meanwhile."""
    cost: dict[str, Any] = {"steps": 0}

    def count(*_: Any) -> None:
        cost["steps"] += 1

    hook, cpu, wall = register_optimizer_step_post_hook(count), time.process_time(), time.perf_counter()
    try:
        yield cost
    finally:
        hook.remove()
        cost["cpu"], cost["wall"] = round(time.process_time() - cpu, 4), round(time.perf_counter() - wall, 4)


def score(one: Case, setup: Setup) -> float | str | None:
    """How well the network does, 1 at best: by the twin's yardstick, else as the judgement scores; "-inf": broken."""
    twin = twins().get(one.fit.name)
    own = twin.score if twin is not None else None
    value = own(setup.module, setup.loader) if own is not None else own_score(setup.module, setup.loader)
    return None if value is None else round(value, 5) if math.isfinite(value) else "-inf"


def digest(module: Any) -> str:
    """Of all weights and buffers, bit for bit."""
    seen = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        seen.update(name.encode())
        if isinstance(tensor, torch.Tensor):
            flat = tensor.detach().cpu().contiguous().flatten()
            seen.update(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return seen.hexdigest()[:16]
