"""Reports made by hand: networks whose flow is known by construction."""

from lightning_gradwatch.records import (
    Anatomy,
    Cause,
    CauseKind,
    Event,
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
from lightning_gradwatch.report import Report

HOSTILE = "</script>|`x`{0}%s[bold]*_~$a_b$<b>&amp;\x1b[31m\nline two"


def segment(family, decades, layer, *, modules=(), **more):
    operation = Operation(
        name={"linear": "Addmm", "activation": "Sigmoid"}.get(family, "Other"), family=family, share=1.0
    )
    return Segment(
        label=f"{operation.name} {layer}",
        layer=layer,
        modules=modules,
        operations=(operation,),
        family=family,
        decades=decades,
        position=0.5,
        **more,
    )


def ledger(names, activation=-0.65, linear=-0.25, name="loss", start=-1.0):
    """A chain of linear layers, input first, each followed by an activation; decades may be given by layer."""
    per_layer = [[x[i] if isinstance(x, (list, tuple)) else x for i in range(len(names))] for x in (activation, linear)]
    segments = [segment("loss", 0.3, "")]
    for i in reversed(range(len(names))):
        if i < len(names) - 1:
            segments.append(segment("activation", per_layer[0][i], names[i]))
        if i > 0:
            segments.append(segment("linear", per_layer[1][i], names[i], modules=(names[i],)))
    end = start + sum(s.decades for s in segments)
    return Ledger(
        name=name, target=f"{names[0]}.weight", target_layer=names[0], segments=tuple(segments), start=start, end=end
    )


def chain(count):
    return [f"net.{2 * i}" for i in range(count)]


def frame(step, *ledgers, names=(), norm=0.5):
    readings = tuple(
        ParameterReading(
            name=f"{n}.weight", size=64, optimizer=0, norm=norm, rms=norm / 8, max=norm, zeros=0.0, update=1e-3
        )
        for n in names
    )
    return Frame(
        step=step, global_step=step, epoch=0, batch=step, loss=2.3, rates=(0.001,), ledgers=ledgers, parameters=readings
    )


CAUSES = (
    Cause(
        kind=CauseKind.ACTIVATION,
        code="GW101",
        title="Saturating activation",
        share=0.71,
        sentence="19 Sigmoid lose 12.3 decades together: sigmoid passes at most 0.25 of a gradient, and here its mean "
        "slope is 0.98 of that",
        evidence=(Quantity(name="decades lost in activations", value=12.3, unit="decades"),),
    ),
    Cause(
        kind=CauseKind.INITIALIZATION,
        code="GW301",
        title="Weights too small for their activation",
        share=0.29,
        sentence="weights change the gradient by -4.8 decades where Xavier initialisation would give about +0.0 "
        "(std 0.072, Xavier 0.12)",
    ),
)
REMEDIES = tuple(
    Remedy(name=name, title=title, advice=advice, reason=reason, cures=(CauseKind.ACTIVATION,), source="He et al. 2015")
    for name, title, advice, reason in (
        (
            "ReplaceActivation",
            "ReLU with He initialisation",
            "Replace the 19 Sigmoid by ReLU and initialise the weights with kaiming_normal_",
            "the activations lose 12.3 of 17.1 decades; ReLU alone would leave the 4.8 of the weights",
        ),
        (
            "BatchNorm",
            "Batch normalisation",
            "Put a BatchNorm1d after every Linear, before its Sigmoid",
            "it gives back what each layer loses, whatever the activation",
        ),
        (
            "Residual",
            "Residual connections",
            "Wrap every two layers of equal width as x + f(x)",
            "the gradient then has a way around the activations",
        ),
        ("LSTM", "LSTM", "Fourth advice", "for the fourth reason"),
    )
)


def vanishing(layers, *, total=20, lost=17.1, **changes):
    fields = {
        "id": "vanishing:loss",
        "kind": Kind.VANISHING,
        "severity": Severity.CRITICAL,
        "summary": f"{layers[0]} gets 10^-{lost:.1f} of the gradient that the head gets",
        "layers": tuple(layers),
        "first_step": 0,
        "last_step": 59,
        "evidence": (
            Quantity(name="decades lost", value=lost, unit="decades"),
            Quantity(name="layers on the way", value=float(total), unit="layers"),
        ),
        "causes": CAUSES,
        "remedies": REMEDIES,
        "consequences": ("stalled: weights change by 1.0e-09 of themselves a step",),
    }
    return Finding(**{**fields, **changes})


DECAY = Event(
    step=12,
    action="decay_lr",
    finding="vanishing:loss",
    reason="the gradient vanishes",
    old=(0.001,),
    new=(0.0005,),
    effect="same",
    effect_sentence="the loss stands where it stood",
)


def sick(count=20, steps=3, **changes):
    """A chain of default sigmoids: 17.1 decades over 20 layers."""
    names = chain(count)
    frames = tuple(
        frame(step, ledger(names, linear=-0.25 + 0.05 * step / max(1, steps - 1)), names=names) for step in range(steps)
    )
    starved = names[: max(1, count - 3)]
    fields = {
        "name": "Net",
        "frames": frames,
        "findings": (vanishing(starved, total=count, last_step=steps - 1),),
        "anatomy": Anatomy(),
        "config": {"every_n_steps": 50, "on_vanishing": "warn"},
    }
    return Report(**{**fields, **changes})


def healthy(count=20, steps=3, **changes):
    """The same chain with ReLU and He's weights: what one half loses the other half gives."""
    names = chain(count)
    frames = tuple(frame(step, ledger(names, activation=-0.15, linear=0.14), names=names) for step in range(steps))
    return Report(**{"name": "Net", "frames": frames, **changes})
