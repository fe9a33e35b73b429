"""The evidence that rules ask for by name: what was measured, and what follows from it for one finding."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from lightning_gradwatch.diagnose.blame import blame_dead, blame_flat, blame_gates, blame_segments
from lightning_gradwatch.diagnose.course import course
from lightning_gradwatch.diagnose.gains import Gains, gained
from lightning_gradwatch.diagnose.hidden import inside
from lightning_gradwatch.diagnose.losses import Losses, split
from lightning_gradwatch.diagnose.numerics import suspected
from lightning_gradwatch.diagnose.stall import stall
from lightning_gradwatch.records import Anatomy, Finding, Frame, Kind, Ledger, TimeProfile
from lightning_gradwatch.records.flow import flow_in
from lightning_gradwatch.records.gates import reckoned
from lightning_gradwatch.records.history import History
from lightning_gradwatch.records.threshold import Threshold

# Name -> what it is; ``Rule.needs`` are some of these.
EVIDENCE = {
    "finding": "what was found",
    "frame": "the measured step that showed it",
    "anatomy": "what the network is made of",
    "history": "what the measured steps before told",
    "ledger": "the decades of every stretch of the backward pass that the finding is about",
    "losses": "the decades lost on the way to the most starved layer, split",
    "gains": "the decades gained on the way to the layer that gets most, split",
    "blame": "what drove activations to their flat ends, or units to where they let nothing through",
    "profile": "the gradient at every time step of a recurrent layer",
    "course": "how calm the fit was before the finding",
    "stall": "which factor of the updates is too small",
    "fault": "the operation that first made a number that is not finite",
    "operations": "what single activations and normalisations did on that step",
}
# An explosion over a fit within so many steps, with so many decades along depth on the first, began along depth.
SOON, GREW = 5, 2.5
# Decades without which a gradient that SageMaker's rules call small has not become so on its way.
_LOST = 1.0
THRESHOLDS = (
    Threshold(
        name="lost on the way",
        value=_LOST,
        unit="decades",
        why="SageMaker's rules call small what has not become so on its way",
    ),
    Threshold(name="soon", value=SOON, unit="steps", why="an explosion so early began along depth"),
    Threshold(name="growth at the start", value=GREW, unit="decades", why="as along depth, where a finding closes"),
)
_ALONG_DEPTH = {Kind.VANISHING: "vanishing", Kind.EXPLODING: "exploding"}


def gather(
    finding: Finding, frame: Frame, anatomy: Anatomy, history: History, start: Frame | None = None
) -> dict[str, Any]:
    """The evidence by name; None: there is none of this kind.

    Args:
        finding: what was found.
        frame: the frame that showed it.
        anatomy: what the network is made of.
        history: what the frames so far told, that one included.
        start: the first frame of the fit.
    """
    finding, absolute = _as_ours(finding, frame), finding.id.startswith("sagemaker:")
    ledger, layer = _ledger(finding, frame), finding.layers[0] if finding.layers else None
    known: dict[str, Any] = {"finding": finding, "frame": frame, "anatomy": anatomy, "history": history}
    known |= {"ledger": ledger, "profile": _profile(finding, frame), "fault": frame.fault}
    known |= {"operations": frame.operations or None, "course": course(finding, history)}
    if ledger is not None and layer is not None and finding.id.partition(":")[0] == _ALONG_DEPTH.get(finding.kind):
        if finding.kind is Kind.VANISHING:
            losses = split(ledger, layer, anatomy, inside(frame, ledger, layer, anatomy))
            if not absolute or losses.total >= _LOST:
                known |= {"losses": losses, "blame": _blame_for(losses, ledger, frame, anatomy, history)}
        elif ":" in finding.id:
            known["gains"] = gained(ledger, layer, frame, anatomy, history)
    if finding.kind is Kind.SATURATION:
        seen = ":" not in finding.id  # else of a fused layer, that shows none of its gates
        known["blame"] = blame_flat(finding, frame, anatomy, history) if seen else blame_gates(finding, frame, history)
    if finding.kind is Kind.DEAD_UNITS:
        known["blame"] = blame_dead(finding, frame, anatomy, history)
    if finding.id in ("exploding", "nonfinite") and start is not None and start.step < finding.first_step <= SOON:
        known["gains"] = _grown(start, anatomy, history)  # as it could be measured then
    if finding.kind is Kind.NONFINITE and frame.fault is None and ledger is not None:
        known["fault"] = suspected(ledger)
    if finding.kind is Kind.STALLED:
        known["stall"] = stall(frame, ledger, anatomy)
    return known


def _grown(start: Frame, anatomy: Anatomy, history: History) -> Gains | None:
    """The growth along depth on the first step; None where there was little, or it came through time."""
    if any(profile.grown >= GREW for profile in start.times):
        return None
    for ledger in start.ledgers:
        flow = {layer: level for layer, level in flow_in(start, ledger).items() if math.isfinite(level)}
        layer = max(flow, key=flow.__getitem__, default="")
        if layer and flow[layer] >= GREW:
            return gained(ledger, layer, start, anatomy, history)
    return None


def _as_ours(finding: Finding, frame: Frame) -> Finding:
    """A finding of SageMaker's rules under the id that our own detector of the same sickness gives."""
    if not finding.id.startswith("sagemaker:"):
        return finding
    along = finding.kind is Kind.VANISHING and frame.ledgers
    return replace(finding, id=f"vanishing:{frame.ledgers[0].name}" if along else finding.kind.value)


def _blame_for(losses: Losses, ledger: Ledger, frame: Frame, anatomy: Anatomy, history: History) -> Any:
    return blame_segments(losses.flat, ledger, frame, anatomy, history) if losses.flat else None


def _ledger(finding: Finding, frame: Frame) -> Ledger | None:
    """The ledger that the finding is about: the one its id names, else the first."""
    name, slash, _ = finding.id.partition(":")[2].partition("/")
    ledgers = frame.branches if slash else frame.ledgers
    named = next((ledger for ledger in ledgers if ledger.name == name), None)
    return named or next(iter(frame.ledgers), None)


def _profile(finding: Finding, frame: Frame) -> TimeProfile | None:
    """The time steps that a finding through time is about; of any other the ones that grow most."""
    what, _, rest = finding.id.partition(":")
    if what.endswith("_in_time"):
        profiles = (*frame.times, *reckoned(frame))
        return next((one for one in profiles if f"{one.ledger}:{one.layer}" == rest), None)
    return max(frame.times, key=lambda one: one.grown, default=None)
