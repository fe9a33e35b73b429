"""What might cure a finding: its remedies in the order of the diagnosis, each with what belongs to it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lightning_gradwatch.records import Anatomy, Finding, Kind
from lightning_gradwatch.remedies import remedies
from lightning_gradwatch.remedies.treatment import Treatment

Candidate = tuple[Treatment, ...]

# Learning-rate decay never brought a vanished gradient back (0 of 16 fits, and 0 of 16 for clipping).
_HOPELESS = {Kind.VANISHING: ("DecayLR", "ClipGradients", "WarmUp")}
# What sets the size of a step by itself.
_ADAPTIVE = ("adam", "rmsprop", "adagrad", "adadelta", "lion", "adafactor")


def candidates(
    finding: Finding,
    anatomy: Anatomy,
    model: nn.Module,
    optimizers: Sequence[Any],
    allowed: Sequence[str | Treatment] | None = None,
) -> list[Candidate]:
    """Treatments to try against a finding, best first: alone, with what belongs to them, and with Adam.

    Args:
        finding: what is to be cured, with its remedies.
        anatomy: what the network is made of.
        model: the network.
        optimizers: its optimizers.
        allowed: names of treatments, or treatments as they are to be used; None: all that the diagnosis names.
    """
    given = {one.name: one for one in allowed or () if isinstance(one, Treatment)}
    wanted = None if allowed is None else {one if isinstance(one, str) else one.name for one in allowed}
    known = {one.name: one for one in remedies() if isinstance(one, Treatment)} | given
    usable = {name: one for name, one in known.items() if wanted is None or name in wanted}
    named = [remedy.name for remedy in finding.remedies if remedy.name not in _HOPELESS.get(finding.kind, ())]
    ways = _Ways(usable, _is_broken(model), _is_adaptive(optimizers))
    found: list[Candidate] = []
    for name in [name for name in named if name in usable]:
        first = usable[name].tailored(finding, anatomy)
        if first.applies_to(model):
            for names in ways.beside(first):
                found.append((first, *(usable[one].tailored(finding, anatomy) for one in names)))
    return list({tuple(map(repr, one)): one for one in reversed(found)}.values())[::-1]


@dataclass(frozen=True)
class _Ways:
    """In which company a treatment is tried."""

    usable: Mapping[str, Treatment]
    broken: bool  # whether a weight is infinite or NaN
    adaptive: bool  # whether the optimizers are

    def beside(self, first: Treatment) -> Iterator[list[str]]:
        """Names of what is done after it."""
        wanted = [*first.partners, *(["Initialize"] if self.broken else [])]
        partners = [name for name in dict.fromkeys(wanted) if name in self.usable and name != first.name]
        if "SwitchOptimizer" in self.usable and not self.adaptive and first.name != "SwitchOptimizer":
            yield [*partners, "SwitchOptimizer"]
        yield partners


def _is_adaptive(optimizers: Sequence[Any]) -> bool:
    return all(any(word in type(one).__name__.lower() for word in _ADAPTIVE) for one in optimizers)


def _is_broken(model: nn.Module) -> bool:
    """Whether a weight is infinite or NaN: then nothing helps that leaves it so."""
    with torch.no_grad():
        sums = [p.detach().float().sum() for p in model.parameters() if p.is_floating_point() and not p.is_meta]
    return bool(sums) and not math.isfinite(float(torch.stack([s.cpu() for s in sums]).sum()))
