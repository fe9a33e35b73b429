"""The verdict at initialisation, before GPU hours are spent: a few measured steps on a copy, and a forecast."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from lightning_gradwatch import _lightning, arguments
from lightning_gradwatch.anatomy import inspect_model
from lightning_gradwatch.diagnose import Ignoring
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Forecast, Frame
from lightning_gradwatch.records.flow import flow_in
from lightning_gradwatch.remedies.surgery.ground import own_ground, reseed
from lightning_gradwatch.report.report import Report
from lightning_gradwatch.verify import notes
from lightning_gradwatch.verify.batches import take
from lightning_gradwatch.verify.bench import Bench
from lightning_gradwatch.verify.casebook import Casebook
from lightning_gradwatch.verify.counterfactual import Trials
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.rehearsal import Rehearsal
from lightning_gradwatch.verify.stage import is_module
from lightning_gradwatch.verify.subject import Subject

# Batches that the flow is measured on before any weight moves, and re-initialisations that the forecast is spread over.
LOOKS, DRAWS = 4, 5


def checkup(
    model: Any,
    data: Any = None,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    batches: int = 12,
    seed: int = 0,
    name: str = "",
    ignore: Mapping[str, str] | None = None,
    prove: bool = False,
) -> Report:
    """What a fit would say of this network, before there is one: the same findings, causes and remedies.

    A copy makes one measured step a batch; the network itself, random numbers and everything else are afterwards as
    they were, bit for bit.  Before that, the flow is measured as the network is initialised, on several batches and
    over re-initialisations: ``report.forecast``.

    Args:
        model: the network, a LightningModule, or a function that makes one, which is then asked for further ones.
        data: one batch (a tensor, ``(x, y)``, a dict), an iterable of batches, a DataLoader, a LightningDataModule
            (which is set up); None: what the LightningModule trains on by its own ``train_dataloader``.
        loss: gives the loss from the network's output and the batch; None: the ``training_step`` of a LightningModule,
            else one that suits the targets, which a note names.
        batches: how many batches and with them steps; where there is less data, it is gone through again.
        seed: of the random numbers, which are the checkup's own.
        name: of the report; by default the class of the network.
        ignore: rules and kinds of finding not to hear of, each with the reason, as in ``GradWatch``.
        prove: also try every cause: replace that factor alone on a copy, and measure what comes back (``cause.proof``).

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> import torch
        >>> layers = [layer for _ in range(15) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
        >>> model = nn.Sequential(*layers, nn.Linear(16, 2))
        >>> report = checkup(model, (torch.rand(32, 16), torch.randint(2, (32,))))
        >>> report.worst.kind, report.worst.causes[0].kind
        (<Kind.VANISHING: 'vanishing'>, <CauseKind.ACTIVATION: 'activation'>)
        >>> report.forecast.layer, report.forecast.expected < -6
        ('0', True)
    """
    arguments.whole("batches", batches, 1)
    arguments.whole("seed", seed, 0)
    ignoring = Ignoring(ignore)
    with own_ground(seed):
        config = {"ignore": dict(ignore)} if ignore else {}
        return _Checkup(model, data, loss, batches, seed).report(name, ignoring, config, prove=prove)


class _Checkup:
    """One checkup, on a ground of its own."""

    def __init__(self, model: Any, data: Any, loss: Any, steps: int, seed: int) -> None:
        self._seed, self._steps = seed, steps
        brought = None if data is None else take(data, steps)  # what a fit does first, too
        self._subject = Subject(model, steps, seed, data)
        base = self._subject.base
        if brought is None and not hasattr(base, "train_dataloader"):
            raise WrongArgument("data", "given where the network brings none", None)
        self._batches = brought or take(base, steps)
        self._objective = None if is_module(base) and loss is None else Objective(loss)
        self._subject.shape(lambda lazy: Rehearsal(lazy, self._objective, steps).peek(self._batches[0]))

    def report(self, name: str, ignoring: Ignoring, config: dict[str, Any], *, prove: bool) -> Report:
        """The measured steps, judged, and the forecast."""
        base = self._subject.base
        casebook = Casebook(
            name=name or type(base).__name__,
            config={"seed": self._seed, "batches": self._steps, **config, "versions": _lightning.versions()},
            anatomy=inspect_model(base),
            ignoring=ignoring,
        )
        rehearsal = self._rehearsal(self._subject.another())
        frames = [rehearsal.step(self._batches[i % len(self._batches)]) for i in range(self._steps)]
        measured = [frame for frame in frames if frame is not None]
        for frame in measured:
            casebook.take(frame)
        unproved = self._prove(casebook, rehearsal.model) if prove else []
        forecast, said = self._forecast(measured)
        for note in (*self._notes(rehearsal, frames), *said, *unproved):
            casebook.note(note)
        return replace(casebook.report, forecast=forecast)

    def _rehearsal(self, model: nn.Module) -> Rehearsal:
        reseed(self._seed)
        return Rehearsal(model, self._objective, self._steps)

    def _prove(self, casebook: Casebook, trained: nn.Module) -> list[str]:
        """Try the causes, as the network is at first or, where that does not show it yet, after the last step.

        Returns:
            What could not be tried, a sentence each.
        """
        at_first = Bench(self._subject.another, self._objective, self._batches[0], self._seed)
        last = self._batches[(self._steps - 1) % len(self._batches)]
        at_last = Bench(self._subject.another, self._objective, last, self._seed, trained.state_dict())
        beginning = casebook.judge.history.beginning
        trials = Trials([at_first, at_last], casebook.anatomy, beginning.weights if beginning else {})
        for finding in casebook.judge.findings:
            if not finding.resolved and finding.ignored is None:
                casebook.judge.amend(trials.prove(finding))
        return trials.said

    # --- the forecast ---------------------------------------------------------------------------------------------

    def _forecast(self, measured: list[Frame]) -> tuple[Forecast | None, list[str]]:
        """What the first layer gets on further batches and from other weights, and what there is to say of that."""
        first = measured[0] if measured else None
        if first is None or not first.ledgers:
            return None, [notes.BLIND] if first is not None and first.norm else []
        more = [self._rehearsal(self._subject.another()).step(batch) for batch in self._batches[1:LOOKS]]
        looks = [level for frame in (first, *more) if (level := _arrives(frame)) is not None]
        draws, kept, said = self._draws()
        return Forecast(
            layer=first.ledgers[0].target_layer,
            decades=statistics.median(looks),
            batches=len(looks),
            draws=tuple(draws),
            kept=kept,
        ), said

    def _draws(self) -> tuple[list[float], tuple[str, ...], list[str]]:
        frames: list[Frame | None] = []
        kept: tuple[str, ...] = ()
        said: list[str] = []
        for number in range(1, DRAWS + 1):
            model, kept, whole = self._subject.drawn(self._seed + number)
            if len(kept) == whole:  # no layer is another one
                return [], kept, [notes.no_spread(whole)]
            said = [notes.kept(kept, whole)] if kept else []
            frames.append(self._rehearsal(model).step(self._batches[0]))
        if self._subject.makes and len({(frame.loss, frame.norm) for frame in frames if frame is not None}) == 1:
            return [], kept, [notes.SAME]
        return [level for frame in frames if (level := _arrives(frame)) is not None], kept, said

    # --- what else to say -----------------------------------------------------------------------------------------

    def _notes(self, rehearsal: Rehearsal, frames: list[Frame | None]) -> list[str]:
        given, left_out = self._subject.given, sum(frame is None for frame in frames)
        makes = self._subject.makes
        return [
            notes.on_a_copy(self._steps, rehearsal.optimizer),
            *([] if self._objective is None else self._objective.said),
            *([notes.no_optimizer(rehearsal.trouble)] if rehearsal.trouble else []),
            *([notes.EVAL] if not makes and not given.training else []),
            *([notes.UNCOMPILED] if not makes and hasattr(given, "_orig_mod") else []),
            *([notes.without_loss(left_out, len(frames))] if left_out else []),
            *([notes.again(len(self._batches), self._steps)] if len(self._batches) < self._steps else []),
        ]


def _arrives(frame: Frame | None) -> float | None:
    """Decades at the first layer beside the head; None where that was not measured."""
    if frame is None or not frame.ledgers:
        return None
    ledger = frame.ledgers[0]
    return flow_in(frame, ledger)[ledger.target_layer]
