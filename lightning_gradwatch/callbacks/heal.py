"""One call in the place of ``trainer.fit``: a fit that is healed where it is sick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lightning_gradwatch.callbacks.gradwatch import GradWatch
from lightning_gradwatch.remedies.treatment import Treatment
from lightning_gradwatch.report.report import Report


def heal(  # noqa: PLR0917 (the order of Trainer.fit)
    trainer: Any,
    model: Any,
    train_dataloaders: Any = None,
    val_dataloaders: Any = None,
    datamodule: Any = None,
    ckpt_path: Any = None,
    *,
    budget: float = 1.3,
    remedies: str | Sequence[str | Treatment] = "auto",
    seed: int = 0,
) -> Report:
    """Fit, and where the fit is sick try the remedies on copies, go on with the best that is proved, and say so.

    The first arguments are those of ``trainer.fit``.  ``model`` is the healed network afterwards, edited in place; the
    trainer's callbacks, loggers and checkpoints see one fit.  A healthy fit is the same as without, bit for bit: there
    is no trial.  Where no remedy is proved the fit goes on as it is, and the report says so.

    Args:
        trainer: a Trainer; if it has a ``GradWatch``, that one heals, else one is added for this fit.
        model: the LightningModule.
        train_dataloaders: as for ``trainer.fit``.
        val_dataloaders: as for ``trainer.fit``.
        datamodule: as for ``trainer.fit``.
        ckpt_path: as for ``trainer.fit``.
        budget: what the fit may take in all, in times of the steps that were planned: 1.3 leaves 30 % of them, and at
            most 300, to trials.
        remedies: ``"auto"`` takes those that the diagnosis names; else names of treatments, or treatments.
        seed: of the random numbers of trials and treatments.

    Returns:
        The report: what was found, what was tried and done, and a patch for the network's own source.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> import lightning.pytorch as pl
        >>> from lightning_gradwatch.cases.classifier import classifier
        >>> from lightning_gradwatch.cases.data import training_batches
        >>> from lightning_gradwatch.cases.fitting import quiet
        >>> from lightning_gradwatch.cases.networks import mlp
        >>> model = classifier(mlp())
        >>> with quiet():
        ...     silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
        ...     options = dict.fromkeys(silent, False)
        ...     trainer = pl.Trainer(max_steps=100, accelerator="cpu", **options)
        ...     report = heal(trainer, model, training_batches())
        >>> [event.action for event in report.events]
        ['treat']
    """
    own = GradWatch(on_vanishing="heal", budget=budget, remedies=remedies, seed=seed)
    given = next((one for one in trainer.callbacks if isinstance(one, GradWatch)), None)
    if given is None:
        trainer.callbacks = [own, *trainer.callbacks]
        return _fitted(trainer, own, model, train_dataloaders, val_dataloaders, datamodule, ckpt_path)
    before = given.settings
    given.change(replace(before, on_vanishing="heal", budget=budget, remedies=remedies, seed=seed))
    try:
        return _fitted(trainer, given, model, train_dataloaders, val_dataloaders, datamodule, ckpt_path)
    finally:
        given.change(before)


def _fitted(trainer: Any, watch: GradWatch, *arguments: Any) -> Report:
    model, train, val, datamodule, ckpt_path = arguments
    trainer.fit(model, train_dataloaders=train, val_dataloaders=val, datamodule=datamodule, ckpt_path=ckpt_path)
    return watch.report
