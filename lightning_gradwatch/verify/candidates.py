"""What might cure a finding: its remedies in the order of the diagnosis, each with what belongs to it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lightning_gradwatch.records import Anatomy, Finding, Kind
from lightning_gradwatch.remedies import remedies
from lightning_gradwatch.remedies.initialize import Initialize, scheme_for
from lightning_gradwatch.remedies.network import main_activation
from lightning_gradwatch.remedies.surgery.reading import read
from lightning_gradwatch.remedies.treatment import Treatment

Candidate = tuple[Treatment, ...]

# Learning-rate decay never brought a vanished gradient back (0 of 16 fits, and 0 of 16 for clipping).
_HOPELESS = {Kind.VANISHING: ("DecayLR", "ClipGradients", "WarmUp")}
# Sicknesses after which the weights are where they should not be, whatever brought them there.
_RUINED = (Kind.EXPLODING, Kind.NONFINITE, Kind.DEAD_UNITS, Kind.SATURATION)
# What helps against most sicknesses, whether or not the diagnosis is right.
_ANYWAY = ("Initialize", "AddResidual", "InsertNormalization", "SwitchOptimizer")
# What sets the size of a step by itself.
_ADAPTIVE = ("adam", "rmsprop", "adagrad", "adadelta", "lion", "adafactor")
# They set the size of the steps themselves: beside another optimizer they would set it twice.
_RATES = ("SwitchOptimizer", "DecayLR", "RaiseRate", "WarmUp", "LowerDecay", "ClipGradients")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A sick network in its fit.

    Args:
        finding: what is to be cured, with its remedies.
        anatomy: what the network is made of.
        model: the network.
        optimizers: its optimizers.
        is_young: whether little is lost if all weights are drawn anew; else only the sick part's are.
    """

    finding: Finding
    anatomy: Anatomy
    model: nn.Module
    optimizers: Sequence[Any]
    is_young: bool = True


def candidates(case: Case, allowed: Sequence[str | Treatment] | None = None) -> list[Candidate]:
    """Treatments to try, best first: the strongest company of each remedy, then each in less.

    Args:
        case: what is to be cured.
        allowed: names of treatments, or treatments as they are to be used; None: all that the diagnosis names.
    """
    usable = _usable(allowed)
    hopeless = _HOPELESS.get(case.finding.kind, ())
    named = [remedy.name for remedy in case.finding.remedies]
    if not case.is_young:  # what made a part sick so late may be in its weights alone
        named.insert(1, "Initialize")
    named += _ANYWAY  # what the diagnosis does not name comes last
    named = [name for name in named if name in usable and name not in hopeless]
    ways = _Ways(case, usable)
    found = [list(ways.of(name)) for name in dict.fromkeys(named)]
    in_turn = [one for level in itertools.zip_longest(*found) for one in level if one is not None]
    kept: dict[tuple[str, ...], Candidate] = {}
    for one in in_turn:
        kept.setdefault(tuple(map(repr, one)), one)
    return list(kept.values())


def _usable(allowed: Sequence[str | Treatment] | None) -> dict[str, Treatment]:
    known = {one.name: one for one in remedies() if isinstance(one, Treatment)}
    if allowed is None:
        return {name: one for name, one in known.items() if not one.heavy}
    given = {one.name: one for one in allowed if isinstance(one, Treatment)}
    return {name: one for name, one in known.items() if name in allowed} | given


class _Ways:
    """In which company each remedy is tried."""

    def __init__(self, case: Case, usable: Mapping[str, Treatment]) -> None:
        self._case, self._usable = case, usable
        self._broken = _is_broken(case.model)
        self._adaptive = all(any(word in type(one).__name__.lower() for word in _ADAPTIVE) for one in case.optimizers)

    def of(self, name: str) -> Iterator[Candidate]:
        """Of one remedy, the strongest company first; none where it does not apply."""
        first = self._made(name)
        if not first.applies_to(self._case.model):
            return
        alone = (first, *(self._made(one) for one in first.partners if one in self._usable and one != name))
        restarts = name == "Initialize" or "Initialize" in first.partners or "Initialize" not in self._usable
        anew = alone if restarts else (*alone, self._made("Initialize"))
        ruined = self._broken or self._case.finding.kind in _RUINED
        companies = [anew] if self._broken else [anew, alone] if ruined else [alone]
        if not self._broken and not restarts and first.partners:  # what is cheaper first
            companies.insert(0, (first,))
        switch = "SwitchOptimizer" in self._usable and not self._adaptive and name not in _RATES
        for company in companies:
            if switch:
                yield (*company, self._made("SwitchOptimizer"))
            yield company

    def _made(self, name: str) -> Treatment:
        case, usable = self._case, self._usable[name]
        if not any(usable is one for one in remedies()):  # as the user made it
            return usable
        if isinstance(usable, Initialize):
            return Initialize(self._scheme(), keep_trained=False, where=self._part())
        return usable.tailored(case.finding, case.anatomy)

    def _scheme(self) -> str:
        """By the module that follows each layer; where all activations are functions, by those that the ledger saw."""
        finding, anatomy = self._case.finding, self._case.anatomy
        if anatomy.activations or read(self._case.model).main_kind:
            return "auto"
        return scheme_for(main_activation(finding, anatomy), finding).lower()

    def _part(self) -> list[str] | None:
        """What is drawn anew: all, or where much was learnt and is not lost the sick layers."""
        layers = list(self._case.finding.layers)
        lost = self._broken or self._case.finding.kind in (Kind.EXPLODING, Kind.NONFINITE)
        return None if self._case.is_young or lost or not layers else layers


def _is_broken(model: nn.Module) -> bool:
    """Whether a weight is infinite or NaN: then nothing helps that leaves it so."""
    with torch.no_grad():
        sums = [p.detach().float().sum() for p in model.parameters() if p.is_floating_point() and not p.is_meta]
    return bool(sums) and not math.isfinite(float(torch.stack([s.cpu() for s in sums]).sum()))
