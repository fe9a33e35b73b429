"""Tells of work that is done before the first step of a fit."""

from __future__ import annotations

from typing import Any

from lightning_gradwatch import _lightning


class Telling:
    """Tells of work beside the fit: a progress bar where the trainer has one, curves for its loggers; on one rank.

    Args:
        trainer: of the fit.
        title: of the bar.
        prefix: of the names of the curves.

    Example:
        >>> from types import SimpleNamespace as Plain
        >>> logger = Plain(log_metrics=lambda metrics, step: print(step, metrics))
        >>> trainer = Plain(loggers=[logger], log_every_n_steps=2, progress_bar_callback=None)
        >>> with Telling(trainer, "Pretraining", "pretrain/") as tell:
        ...     for step in range(3):
        ...         tell("layer", step, lambda: 0.5)
        0 {'pretrain/layer': 0.5}
        2 {'pretrain/layer': 0.5}
    """

    def __init__(self, trainer: Any, title: str, prefix: str) -> None:
        self._title, self._prefix, self._every = title, prefix, max(1, int(trainer.log_every_n_steps))
        self._loggers = list(trainer.loggers) if _lightning.is_rank_zero() else []
        shown = getattr(trainer.progress_bar_callback, "is_enabled", False) and _lightning.is_rank_zero()
        self._bar = _bar(title) if shown else None

    def __enter__(self) -> Telling:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, name: str, step: int, value: Any) -> None:
        """One step is done; ``value()`` is its number, which is read only where it is shown."""
        if self._bar is not None:
            if step == 0:
                self._bar.set_description(f"{self._title} {name}")
            self._bar.update()
        if step % self._every == 0:
            for logger in list(self._loggers):
                try:
                    logger.log_metrics({f"{self._prefix}{name}": value()}, step=step)
                except Exception as error:  # a curve is no reason to lose a fit
                    self._loggers.remove(logger)
                    _lightning.say(
                        f"{type(logger).__name__} gets no curves of the {self._title.lower()}: {error!r}", warns=True
                    )


def _bar(title: str) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:  # Lightning brings it, but need not for ever
        return None
    return tqdm(desc=title, leave=False, dynamic_ncols=True)
