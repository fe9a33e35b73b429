"""The proof of a cause: on a copy that one factor is taken away from, how much of the gradient comes back?

The copy differs from the sick network in that factor alone; it is given the same batch and the same random numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from lightning_gradwatch import _lightning, arguments
from lightning_gradwatch.anatomy import inspect_model
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Anatomy, Cause, CauseKind, Finding, Frame, Remedy
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.surgery.ground import own_ground
from lightning_gradwatch.verify import notes
from lightning_gradwatch.verify.batches import take
from lightning_gradwatch.verify.bench import Bench
from lightning_gradwatch.verify.interventions import Intervention, Scene, intervention
from lightning_gradwatch.verify.objective import Objective
from lightning_gradwatch.verify.rehearsal import Rehearsal
from lightning_gradwatch.verify.stage import is_module
from lightning_gradwatch.verify.subject import Subject
from lightning_gradwatch.verify.yardstick import Yardstick, ledger_of, yardstick

# Shares that differ by less are a tie, which the trials decide.
TIE = 0.1
# A cause whose trial brings back less than this stands behind one whose trial brings back more than that.
NOTHING, MOST = 0.05, 0.5


def prove(
    finding: Finding, model: nn.Module, batch: Any, loss: Callable[[Any, Any], Any] | None = None, *, seed: int = 0
) -> Finding:
    """The finding with a proof beside every cause that can be tried: that factor alone is replaced on a copy.

    Ties between causes are decided by what the trials brought back.  The network, its gradients, random numbers and
    everything else are afterwards as they were.  A cause that cannot be tried keeps its place and has no proof.

    Args:
        finding: what was found, with its causes.
        model: the network that it was found in, as it is now; it is only copied.
        batch: one batch.
        loss: gives the loss from the output and the batch; None: the ``training_step`` of a LightningModule, else one
            that suits the targets.
        seed: of the random numbers of every trial.

    Raises:
        WrongArgument: an argument breaks its rule.

    Example:
        >>> import torch
        >>> from lightning_gradwatch import checkup
        >>> layers = [layer for _ in range(15) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
        >>> model, batch = nn.Sequential(*layers, nn.Linear(16, 2)), (torch.rand(32, 16), torch.randint(2, (32,)))
        >>> proved = prove(checkup(model, batch).worst, model, batch)
        >>> proved.causes[0].code, proved.causes[0].recovered > 0.6
        ('GW101', True)
    """
    return prove_all([finding], model, batch, loss, seed=seed)[0][0]


def prove_all(
    findings: Sequence[Finding],
    model: nn.Module,
    batch: Any,
    loss: Callable[[Any, Any], Any] | None = None,
    *,
    seed: int = 0,
    beginning: Mapping[str, float] | None = None,
) -> tuple[list[Finding], list[str]]:
    """The same for several findings of one network, and what there is to say of trials that could not be made.

    Args:
        findings: what was found.
        model: the network; it is only copied.
        batch: one batch.
        loss: gives the loss from the output and the batch; None: as in ``prove``.
        seed: of the random numbers.
        beginning: parameter -> root mean square when the fit began, where that is known.
    """
    arguments.whole("seed", seed, 0)
    if not isinstance(model, nn.Module):
        raise WrongArgument("model", "the network that the finding is about", type(model).__name__)
    with own_ground(seed):
        one = take(batch, 1)[0]
        subject = Subject(model, 1, seed, batch, ready=_lightning.was_fitted(model))
        objective = None if is_module(subject.base) and loss is None else Objective(loss)
        subject.shape(lambda lazy: Rehearsal(lazy, objective, 1).peek(one))
        benches = [Bench(subject.another, objective, one, seed)]
        trials = Trials(benches, inspect_model(subject.base), beginning or {})
        return [trials.prove(finding) for finding in findings], trials.said


class Trials:
    """Tries the causes of findings on one or several states of a network.

    Args:
        benches: the states in order of time; a finding is tried on the first of them that shows it, one that did not
            begin with the fit on the last.
        anatomy: what the network is made of.
        beginning: parameter -> root mean square when the fit began.
    """

    def __init__(self, benches: Sequence[Bench], anatomy: Anatomy, beginning: Mapping[str, float]) -> None:
        self._benches, self._anatomy, self._beginning = benches, anatomy, beginning
        self.said: list[str] = []  # what could not be tried, a sentence each

    def prove(self, finding: Finding) -> Finding:
        """The finding with its causes tried, and put in order by what came back."""
        stick = yardstick(finding)
        tried = [(cause, intervention(cause, finding)) for cause in finding.causes]
        if stick is None or not any(act for _, act in tried):
            return finding
        shown = self._shown(finding, stick)
        if shown is None:
            self.said.append(notes.not_shown(finding.id))
            return finding
        causes = [self._tried(cause, act, finding, shown) if act else cause for cause, act in tried]
        proved = settled(replace(finding, causes=tuple(causes)))
        if [c.code for c in proved.causes] == [c.code for c in finding.causes]:
            return proved
        return replace(proved, remedies=_remedies(proved, self._anatomy))

    def _shown(self, finding: Finding, stick: Yardstick) -> _Shown | None:
        """The first state that shows the finding; where nothing is left of the gradient, as float64 shows it."""
        exact = not any(cause.kind is CauseKind.PRECISION for cause in finding.causes)
        for bench in self._benches if finding.first_step == 0 else reversed(self._benches):
            shown = _look(bench, stick)
            if exact and shown is not None and shown.ill == math.inf:
                shown = _precisely(bench, stick) or shown
            if shown is not None and shown.ill >= stick.least:
                return shown
        return None

    def _tried(self, cause: Cause, act: Intervention, finding: Finding, shown: _Shown) -> Cause:
        bench, stick = shown.bench, shown.stick
        model = bench.copy()
        try:
            change = act(Scene(model, finding, shown.frame, ledger_of(finding, shown.frame), self._beginning))
            made = None if change is None else bench.after(model, change)
            what = "" if change is None else change.told()
        except Exception as error:  # the user's own code, in a situation that it was not made for
            self.said.append(notes.trial_broke(cause.code, f"{type(error).__name__}: {error}"))
            return cause
        after = stick.measure(made) if made is not None and what else None
        if after is None:
            return cause
        proof = f"with only {what}, {stick.say(shown.ill, after)}."
        return replace(cause, proof=proof, recovered=stick.recovered(shown.ill, after))


@dataclass(frozen=True)
class _Shown:
    """A state that was looked at without any change."""

    bench: Bench
    stick: Yardstick
    frame: Frame
    ill: float


def _look(bench: Bench, stick: Yardstick) -> _Shown | None:
    frame = bench.before
    ill = None if frame is None else stick.measure(frame)
    return None if frame is None or ill is None else _Shown(bench, stick, frame, ill)


def _precisely(bench: Bench, stick: Yardstick) -> _Shown | None:
    try:
        return _look(bench.precise(), stick)
    except Exception:  # a network that insists on its own format
        return None


def _remedies(finding: Finding, anatomy: Anatomy) -> tuple[Remedy, ...]:
    """Those for what the trials put in front come first, as if the shares stood in that order; they say what they did.

    Args:
        finding: its causes are in order.
        anatomy: what the network is made of.
    """
    shares = sorted((cause.share for cause in finding.causes), reverse=True)
    causes = zip(finding.causes, shares, strict=True)
    ranked = replace(finding, causes=tuple(replace(cause, share=share) for cause, share in causes))
    said = {remedy.name: remedy for remedy in prescribe(finding, anatomy)}
    return tuple(said.get(remedy.name, remedy) for remedy in prescribe(ranked, anatomy))


def settled(finding: Finding) -> Finding:
    """Its causes in the order that the trials leave them in.

    Example:
        >>> from lightning_gradwatch.records import Kind, Severity
        >>> def cause(kind, share, recovered):
        ...     return Cause(kind=kind, code="", title="", share=share, sentence="", recovered=recovered)
        >>> found = Finding(id="vanishing:loss", kind=Kind.VANISHING, severity=Severity.WARNING, summary="", layers=(),
        ...     first_step=0, last_step=0,
        ...     causes=(cause(CauseKind.NORMALIZATION, 0.52, 0.3), cause(CauseKind.DATA, 0.48, 0.9)))
        >>> [cause.kind.value for cause in settled(found).causes]
        ['data', 'normalization']
    """
    causes = list(finding.causes)
    for _ in causes:  # every exchange puts what brought back more in front, so that this comes to an end
        for i in range(len(causes) - 1):
            if _is_behind(causes[i], causes[i + 1]):
                causes[i : i + 2] = causes[i + 1], causes[i]
    return replace(finding, causes=tuple(causes))


def _is_behind(first: Cause, second: Cause) -> bool:
    """Whether the trials put the first behind the second.

    Depth takes part in no tie: a way around every layer is a way around all that is in it, other causes included.
    """
    one, other = first.recovered, second.recovered
    if one is None or other is None or other <= one:
        return False
    is_tie = first.share - second.share < TIE and CauseKind.DEPTH not in (first.kind, second.kind)
    return is_tie or (one < NOTHING and other > MOST)
