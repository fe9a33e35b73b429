"""What the remedies could do at best: every one and every sensible pair for the whole length, judged by the score.

It sees the score, which nobody has in a fit; what it does not cure, no choice among the remedies cures.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from curing import cured
from fitting import fit
from twin import twins

from lightning_gradwatch import _lightning
from lightning_gradwatch.remedies import remedies
from lightning_gradwatch.remedies.surgery.operation import operate_all
from lightning_gradwatch.remedies.treatment import Treatment

# What is worth having beside any other remedy.
PARTNERS = ("Initialize", "SwitchOptimizer")


class Onset(_lightning.namespace().Callback):
    """Applies treatments in the middle of a fit, once it has become sick."""

    def __init__(self, treatments: Sequence[Treatment], step: int) -> None:
        self.treatments, self.step, self.applied = treatments, step, False

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step >= self.step and not self.applied:
            self.applied = True
            optimizers = _lightning.optimizers_of(trainer)
            operate_all(self.treatments, pl_module, optimizers, lambda: iter([batch]), undoable=False)


def combinations() -> Iterator[tuple[Treatment, ...]]:
    """Every treatment alone, and with each partner, the partners with each other too."""
    every = {type(one).__name__: type(one) for one in remedies() if isinstance(one, Treatment)}
    for made in every.values():
        yield (made(),)
    for partner in PARTNERS:
        for name, made in every.items():
            if partner in every and name not in PARTNERS:
                yield made(), every[partner]()
    if all(name in every for name in PARTNERS):
        yield tuple(every[name]() for name in PARTNERS)
        for name, made in every.items():
            if name not in PARTNERS:
                yield (made(), *(every[partner]() for partner in PARTNERS))


def best(one: Any) -> dict[str, Any]:
    """The arm: tries in order until one reaches 95 % of the twin's score; else the best of all."""
    goal = fit(one, build=twins()[one.fit.name].build)["score"]
    rows: list[dict[str, Any]] = []
    for treatments, late in itertools.product(list(combinations()), {False, one.fit.onset > 0}):
        callbacks = [Onset(treatments, one.fit.onset + 2)] if late else list(treatments)
        try:
            row = fit(one, callbacks)
        except Exception as error:  # one that breaks this fit is no cure of it
            row = {"score": None, "error": f"{type(error).__name__}: {error}"}
        rows.append({**row, "did": [" + ".join(map(repr, treatments)) + (" from the onset on" if late else "")]})
        if cured(_number(row["score"]), goal):
            break
    top = max(rows, key=lambda row: _number(row["score"]))
    return {**top, "tries": len(rows)}


def _number(score: Any) -> float:
    return float("-inf") if score is None else float(score)
