"""Records to write and read: made by hand, every number known."""

import json
import math

from lightning_gradwatch.records import (
    Anatomy,
    Event,
    Finding,
    Frame,
    Kind,
    Layer,
    Ledger,
    Operation,
    OptimizerReading,
    ParameterReading,
    Segment,
    Severity,
)
from lightning_gradwatch.sinks.packed import pack

CONFIG = {"every_n_steps": 50, "on_vanishing": "warn"}
HOSTILE = "a|b<script>alert(1)</script>*_`{0}%s\n\x1b[31m[x](http://evil.example)\u202e\udc80"


def segment(layer, decades, family="linear", **fields):
    own = family in ("linear", "norm")
    return Segment(
        label=f"{layer} ({family})",
        layer=layer,
        modules=fields.pop("modules", (layer,) if own else ()),
        operations=(Operation(name=family.title(), family=family, share=1.0),),
        family=family,
        decades=decades,
        position=0.5,
        **fields,
    )


def reading(name, norm, size=16, update=1e-3):
    rms = None if norm is None else norm / math.sqrt(size)
    return ParameterReading(name=name, size=size, optimizer=0, norm=norm, rms=rms, max=norm, zeros=0.0, update=update)


def ledger(layers=4, decades=-0.5, name="loss"):
    """A chain net.0 .. net.{layers-1}: the last is the head; every layer loses so much in its activation."""
    names = [f"net.{i}" for i in reversed(range(layers))]
    segments = [segment(names[0], -3.0, "loss"), segment(names[0], 0.25)]
    for layer in names[1:-1]:
        segments += [segment(layer, decades, "activation", slope=0.5, dead=0.125), segment(layer, 0.125)]
    segments.append(segment(names[-1], decades, "activation", slope=0.25, dead=0.0))
    return Ledger(
        name=name,
        target="net.0.weight",
        target_layer="net.0",
        segments=tuple(segments),
        start=0.0,
        end=math.fsum(s.decades for s in segments),
    )


def frame(step=0, layers=4, decades=-0.5, **fields):
    readings = tuple(reading(f"net.{i}.weight", 10.0 ** (-layers + i), update=1e-4 * (i + 1)) for i in range(layers))
    given = {
        "loss": 2.25,
        "rates": (0.0625,),
        "rate_scale": 0.5,
        "loss_scale": 128.0,
        "ledgers": (ledger(layers, decades),),
        "parameters": readings,
        "optimizers": (OptimizerReading(index=0, name="net", norm=4.0, used=1.0),),
    } | fields
    return Frame(step=step, global_step=step, epoch=0, batch=step, **given)


def bare(step=0, **fields):
    """A step on which nothing could be measured."""
    return Frame(**{"step": step, "global_step": step, "epoch": 0, "batch": 0, "loss": None} | fields)


def anatomy(layers=4):
    return Anatomy(
        layers=tuple(
            Layer(name=f"net.{i}", type="Linear", family="linear", parameters=16, trainable=True) for i in range(layers)
        )
    )


def finding(step=3, *, severity=Severity.WARNING, resolved=False, summary="it vanishes", layers=("net.0",), **fields):
    return Finding(
        **{"id": "vanishing:loss"} | fields,
        kind=Kind.VANISHING,
        severity=severity,
        summary=summary,
        layers=layers,
        first_step=0,
        last_step=step,
        resolved=resolved,
        resolved_step=step if resolved else None,
    )


def event(step=3):
    return Event(step=step, action="decay_lr", finding="vanishing:loss", reason="it went on", old=(1e-3,), new=(5e-4,))


def only_file(folder):
    (file,) = folder.iterdir()
    return file


def steps(recording):
    return [made.step for made in recording.frames]


def changed(**fields):
    """A layer table of ours with other fields."""
    return json.dumps(json.loads(pack(frame(), anatomy(), {}).metadata) | fields).encode()
