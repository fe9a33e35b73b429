"""A remedy is believed only when it was measured: on copies, beside untreated ones, paired by seed and batches."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from lightning_gradwatch import _lightning, arguments
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Frame
from lightning_gradwatch.records.flow import flow_in
from lightning_gradwatch.remedies.applied import Applied
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.remedies.treatment import Treatment
from lightning_gradwatch.verify.arm import Arm, Origin
from lightning_gradwatch.verify.batches import take
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.paired import compare, mean
from lightning_gradwatch.verify.rehearsal import Rehearsal
from lightning_gradwatch.verify.stage import is_module
from lightning_gradwatch.verify.subject import Subject

# Of the batches of ``data``, this share is held back where no other data is given for it.
HELD = 0.25
# Training losses of so many last steps are averaged.
LAST = 5


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a trial of a remedy found; of each pair of numbers the first is without the remedy, the second with it."""

    remedy: str  # as people read it
    effect: str  # "better", "same", "worse": the loss on held-back batches, over all seeds
    decades: tuple[float, float] | None  # lost from the head to the first layer at the first step, median over seeds
    loss: tuple[float, float]  # training loss after the last steps, mean over seeds
    held_loss: tuple[float, float]  # loss on held-back batches, mean over seeds
    spread: tuple[float, float]  # standard deviation of that over seeds
    scores: dict[str, tuple[float, float]]  # what ``validation_step`` logged of held-back batches, mean over seeds
    time: float  # what a step takes with the remedy, beside one without it
    parameters: int  # how many more there are to train
    steps: int
    seeds: int
    did: tuple[str, ...]  # what the remedy changed, a sentence each
    done: str  # the same in one line
    kept: tuple[str, ...] = ()  # layers whose weights were the same for every seed, as nobody knows how they were drawn

    def __bool__(self) -> bool:
        """Whether it is better with the remedy."""
        return self.effect == "better"

    def __str__(self) -> str:
        lines = [f"{self.remedy}: {self.effect} ({self.steps} steps, {self.seeds} seeds, on copies)"]
        if self.decades is not None:
            lines.append(f"  gradient lost on the way to the first layer: {_change(self.decades, '.1f')} decades")
        lines.append(f"  loss on held-back batches: {_change(self.held_loss)} (spread {_change(self.spread, '.2g')})")
        lines.append(f"  training loss: {_change(self.loss)}")
        lines += [f"  {name}: {_change(values)}" for name, values in self.scores.items()]
        lines.append(f"  cost: {self.parameters:+,} parameters, {self.time:.2f} times the time of a step")
        return "\n".join([*lines, f"  {self.done}"])


def trial(
    model: Any,
    data: Any,
    remedy: Treatment | Sequence[Treatment],
    *,
    steps: int = 50,
    seeds: int = 3,
    held_back: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
) -> Verdict:
    """Whether a remedy helps this network on this data: both are trained on copies for a while, with it and without.

    For every seed there is a pair of copies that begin with the same weights (drawn anew for each seed, as far as it is
    known how they were drawn), and see the same batches in the same order with the same random numbers.  The network,
    its gradients, the process' random numbers and a running fit are afterwards as they were.

    Args:
        model: the network, a LightningModule, or a function that makes one.
        data: batches, a DataLoader or a LightningDataModule; as many batches as ``steps`` are used, if there are so
            many.
        remedy: what to try; several are applied in order.
        steps: training steps of every copy.
        seeds: how many pairs.
        held_back: batches to judge by, in the same forms; None: every fourth batch of ``data`` is not trained on.
        loss: gives the loss from the output and the batch; None: the ``training_step`` of a LightningModule, else one
            that suits the targets.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> import torch
        >>> from lightning_gradwatch import ReplaceActivation, Initialize, trial
        >>> layers = [layer for _ in range(15) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
        >>> x = torch.randn(320, 16)
        >>> batches = list(zip(x.split(32), (x[:, 0] > 0).long().split(32)))
        >>> model = nn.Sequential(*layers, nn.Linear(16, 2))
        >>> verdict = trial(model, batches, [ReplaceActivation("relu"), Initialize("he")], steps=30)
        >>> verdict.effect, verdict.decades[0] > 6, verdict.decades[1] < 2
        ('better', True, True)
    """
    arguments.whole("steps", steps, 2)
    arguments.whole("seeds", seeds, 1)
    treatments = _treatments(remedy)
    with own_ground(0):
        batches = take(data, steps)
        held = batches[:: round(1 / HELD)] if held_back is None else take(held_back, max(1, steps // 4))
        trained = batches if held_back is not None else [b for b in batches if not any(b is h for h in held)] or batches
        subject = Subject(model, steps, 0, data, ready=_lightning.was_fitted(model))
        objective = None if is_module(subject.base) and loss is None else Objective(loss)
        subject.shape(lambda lazy: Rehearsal(lazy, objective, 1).peek(batches[0]))
        study = _Study(subject, objective, trained, held)
        pairs = [_Pair.of(study, treatments, seed, steps) for seed in range(seeds)]
    return _verdict(treatments, pairs, steps)


def _treatments(remedy: Any) -> tuple[Treatment, ...]:
    several = tuple(remedy) if isinstance(remedy, (list, tuple)) else (remedy,)
    wrong = next((one for one in several if not isinstance(one, Treatment)), None)
    if wrong is not None or not several:
        raise WrongArgument("remedy", "a treatment, e.g. Initialize('he'), or several", wrong)
    return several


@dataclass(frozen=True)
class _Study:
    """What all pairs have in common."""

    subject: Subject
    objective: Objective | None
    batches: Sequence[Any]
    held: Sequence[Any]


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """Two copies after their training."""

    arms: tuple[Arm, Arm]
    decades: tuple[float | None, float | None]
    scores: tuple[dict[str, float], dict[str, float]]
    kept: tuple[str, ...]

    @classmethod
    def of(cls, study: _Study, treatments: Sequence[Treatment], seed: int, steps: int) -> _Pair:
        """Train both."""
        subject, batches, held = study.subject, study.batches, study.held
        order = random.Random(seed).sample(range(len(batches)), len(batches)) if seed else range(len(batches))
        kept: tuple[str, ...] = ()

        def network() -> tuple[nn.Module, None]:
            nonlocal kept
            if not seed:
                return subject.another(), None
            model, kept, _ = subject.drawn(seed)
            return model, None

        ordered = [batches[i] for i in order]
        origin = Origin(copy=network, objective=study.objective, batches=ordered, held=held, seed=1_000 * seed)
        arms = Arm(origin), Arm(origin, treatments)
        looks = [arm.look() for arm in arms]
        for _ in range(steps - 1):  # in turns: what else the machine does slows both alike
            for arm in arms:
                arm.train(1)
        for arm in arms:
            arm.held = arm.lose()
        lost, scores = [_lost(look) for look in looks], [arm.rehearsal.score(held) for arm in arms]
        for arm in arms:  # all seeds' copies at once would be many
            arm.close()
        return cls(arms=arms, decades=(lost[0], lost[1]), scores=(scores[0], scores[1]), kept=kept)


def _verdict(treatments: Sequence[Treatment], pairs: Sequence[_Pair], steps: int) -> Verdict:
    sides = [[pair.arms[side] for pair in pairs] for side in (0, 1)]
    held = [[mean(arm.held) for arm in arms] for arms in sides]
    losses = [mean([mean(arm.losses[-LAST:]) for arm in arms]) for arms in sides]
    decades = [[known for pair in pairs if (known := pair.decades[side]) is not None] for side in (0, 1)]
    # Held-back batches of one seed are not independent of each other: with several seeds, seeds are what is compared.
    compared = held if len(pairs) > 2 else [[loss for arm in arms for loss in arm.held] for arms in sides]
    seconds = [sum(arm.seconds for arm in arms) for arms in sides]
    treated = sides[1][0]
    did = tuple(sentence for applied in treated.applied for sentence in (*applied.did, *applied.left))
    return Verdict(
        remedy=" + ".join(map(repr, treatments)),
        effect=compare(compared[0], compared[1]),
        decades=(statistics.median(decades[0]), statistics.median(decades[1])) if all(decades) else None,
        loss=(losses[0], losses[1]),
        held_loss=(mean(held[0]), mean(held[1])),
        spread=(_spread(held[0]), _spread(held[1])),
        scores={name: _scores(pairs, name) for name in pairs[0].scores[0] if name in pairs[0].scores[1]},
        time=seconds[1] / max(seconds[0], 1e-9),
        parameters=treated.parameters,
        steps=steps,
        seeds=len(pairs),
        did=did,
        done=Applied(" + ".join(map(repr, treatments)), did=did).line,
        kept=pairs[-1].kept,
    )


def _scores(pairs: Sequence[_Pair], name: str) -> tuple[float, float]:
    before, after = ([pair.scores[side][name] for pair in pairs if name in pair.scores[side]] for side in (0, 1))
    return mean(before), mean(after)


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else 0.0


def _lost(frame: Frame | None) -> float | None:
    """Decades that the first layer gets less than the head."""
    if frame is None or not frame.ledgers:
        return None
    ledger = frame.ledgers[0]
    return -flow_in(frame, ledger)[ledger.target_layer]


def _change(values: tuple[float, float], form: str = ".3g") -> str:
    return f"{values[0]:{form}} -> {values[1]:{form}}"
