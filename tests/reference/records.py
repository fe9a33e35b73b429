"""Hand-made records: small, complete, and with the awkward values in them."""

import math

from lightning_gradwatch.records import (
    Cause,
    CauseKind,
    Finding,
    Frame,
    Kind,
    Ledger,
    Operation,
    ParameterReading,
    Quantity,
    Remedy,
    Segment,
    Severity,
)

_FAMILY = {"Addmm": "linear", "Sigmoid": "activation", "Tanh": "activation", "Relu": "activation", "NllLoss": "loss"}


def segment(layer, decades, operation="Addmm", family=None, **fields):
    """One segment; weights are in it where the operation is linear."""
    family = family or _FAMILY.get(operation, "other")
    fields.setdefault("modules", (layer,) if family in ("linear", "norm", "block") else ())
    return Segment(
        label=f"{operation} {layer}",
        layer=layer,
        operations=(Operation(name=operation, family=family, share=1.0),),
        family=family,
        decades=decades,
        position=0.0,
        **fields,
    )


def chain(*losses, activation="Sigmoid", linear=0.0, name="loss"):
    """A ledger of a chain head, n-1 ... 0: each layer's activation loses so much, each weight ``linear``."""
    depth = len(losses)
    segments = [segment("head", 0.0, "NllLoss"), segment("head", linear)]
    for i, lost in enumerate(losses):
        layer = f"net.{depth - 1 - i}"
        segments.append(segment(layer, lost, activation, slope=0.5))
        if i < depth - 1:
            segments.append(segment(layer, linear))
    end = math.fsum(s.decades for s in segments)
    return Ledger(name=name, target="net.0.weight", target_layer="net.0", segments=tuple(segments), start=0.0, end=end)


def reading(name, norm=1.0, size=4, **fields):
    """One parameter's reading."""
    fields.setdefault("update", 1e-3 if norm else None)
    known = norm is not None
    return ParameterReading(
        name=name,
        size=size,
        optimizer=0,
        norm=norm,
        rms=norm / size**0.5 if known else None,
        max=norm,
        zeros=float(norm == 0) if known else None,
        **fields,
    )


def frame(step, *ledgers, parameters=None, loss=1.0, **fields):
    """One measured step; its weights moved, unless ``parameters`` say otherwise."""
    if parameters is None:
        parameters = (reading("net.0.weight"), reading("head.weight"))
    return Frame(
        step=step, global_step=step, epoch=0, batch=step, loss=loss, ledgers=ledgers, parameters=parameters, **fields
    )


FRAME = frame(
    7,
    chain(-0.6, -0.7, -math.inf),
    parameters=(reading("net.0.weight", 0.0), reading("head.weight", math.inf, nonfinite=2), reading("spare", None)),
    rates=(0.1, 0.01),
)
FINDING = Finding(
    id="vanishing:loss",
    kind=Kind.VANISHING,
    severity=Severity.CRITICAL,
    summary="net.0 gets 10^-12 of the gradient",
    layers=("net.0", "net.1"),
    first_step=0,
    last_step=7,
    evidence=(Quantity(name="decades lost", value=12.0, unit="decades"),),
    causes=(
        Cause(
            kind=CauseKind.ACTIVATION,
            code="GW101",
            title="Activations pass too little slope",
            share=1.0,
            sentence="20 Sigmoid lose 12 decades",
            evidence=(Quantity(name="largest slope", value=0.25),),
        ),
    ),
    remedies=(
        Remedy(
            name="ReplaceActivation",
            title="ReLU",
            advice="Replace",
            reason="because",
            cures=(CauseKind.ACTIVATION,),
            source="someone (2010)",
        ),
    ),
)
