"""A fit repaired as AUTOTRAINER repairs (Zhang et al., ICSE 2021): a list of solutions for each problem, in order.

Its checker watches the fit (``judgement/peers/autotrainer.py``).  Where it rings the fit is stopped and begun anew from
scratch with the next solution of that problem's list; the published lists in "balance" mode.  A list that is through,
and the last fit goes to its end.  All steps of all tries count.  Left out: batch size, Gaussian noise and plateaus,
for which this package has no remedy; a random optimizer is one of SGD with momentum, Adam and RMSprop;
where it puts in tanh with He weights (which this package does not offer), He weights alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fitting import fit
from peers.autotrainer import AutoTrainer

from lightning_gradwatch import ClipGradients, Initialize, InsertNormalization, ReplaceActivation, SwitchOptimizer
from lightning_gradwatch._lightning import namespace


class Rates(namespace().Callback):
    """Multiplies every learning rate when the fit begins."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        for group in (group for optimizer in trainer.optimizers for group in optimizer.param_groups):
            group["lr"] *= self.factor
            if "initial_lr" in group:
                group["initial_lr"] *= self.factor
        for schedule in trainer.lr_scheduler_configs:
            schedule.scheduler.base_lrs = [rate * self.factor for rate in schedule.scheduler.base_lrs]


class Checker(AutoTrainer):
    """Ends the fit at the first problem."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if self.alarms:
            trainer.should_stop = True


def _again(times: int, make: Callable[[int], Sequence[Any]]) -> list[Callable[[], Sequence[Any]]]:
    return [lambda k=k: make(k) for k in range(times)]


def _selu() -> Sequence[Any]:
    return [ReplaceActivation("selu"), Initialize("lecun")]


def _normalised() -> Sequence[Any]:
    return [InsertNormalization("batch")]


OPTIMIZERS = ("sgd", "adam", "rmsprop")
SOLUTIONS: dict[str, list[Callable[[], Sequence[Any]]]] = {
    "vanishing": [_selu, lambda: [ReplaceActivation("relu"), Initialize("he")], _normalised],
    "exploding": [
        _selu,
        lambda: [ReplaceActivation("relu")],
        *_again(2, lambda k: [ClipGradients(9.0 + k, mode="value")]),
        lambda: [Initialize("he")],
        _normalised,
    ],
    "dead_units": [
        lambda: [ReplaceActivation("selu")],
        _normalised,
        *_again(3, lambda k: [Initialize("auto", seed=k)]),
        *_again(3, lambda k: [ReplaceActivation("leaky_relu"), Initialize("he", seed=k)]),
    ],
    "oscillating": [
        lambda: [SwitchOptimizer("adam")],
        *_again(3, lambda k: [Rates(10.0 ** -(k + 1))]),
        *_again(3, lambda k: [Initialize("auto", seed=k)]),
    ],
    "stalled": [
        *_again(3, lambda k: [SwitchOptimizer(OPTIMIZERS[k])]),
        *_again(3, lambda k: [Rates(10.0 ** (k + 1))]),
        *_again(3, lambda k: [Initialize("auto", seed=k)]),
    ],
}
SOLUTIONS["nonfinite"] = SOLUTIONS["exploding"]


def repair(one: Any) -> dict[str, Any]:
    """The arm: tries until the checker is silent or its list is through."""
    left = {problem: list(solutions) for problem, solutions in SOLUTIONS.items()}
    given: Sequence[Any] = ()
    total: dict[str, Any] = {"steps": 0, "cpu": 0.0, "wall": 0.0}
    did: list[str] = []
    while True:
        checker = Checker()
        row = fit(one, [*given, checker])
        total = {cost: round(spent + row[cost], 4) for cost, spent in total.items()}
        problem = checker.alarms[0][1] if checker.alarms else ""
        if not problem:
            return {**row, **total, "did": did}
        if not left.get(problem):
            last = fit(one, given)  # to its end
            did.append(f"{problem}: its list is through")
            return {**last, **{cost: round(spent + last[cost], 4) for cost, spent in total.items()}, "did": did}
        given = left[problem].pop(0)()
        did.append(f"{problem} at {checker.alarms[0][0]}: {' + '.join(map(_name, given))}")


def _name(treatment: Any) -> str:
    return f"Rates({treatment.factor:g})" if isinstance(treatment, Rates) else repr(treatment)
