"""Findings and networks made by hand, one line each."""

from __future__ import annotations

from lightning_gradwatch.records import Anatomy, Cause, CauseKind, Finding, Kind, Layer, Quantity, Severity

DEFAULT, HE, XAVIER = 0.0722, 0.1768, 0.125  # standard deviations of the weights of a 64 x 64 layer


def cause(kind: str, share: float = 1.0, **counts: float) -> Cause:
    """A cause of that kind; ``Sigmoid=19`` is evidence as the diagnosis gives it: 19 Sigmoid segments."""
    evidence = tuple(Quantity(name=f"{name} segments", value=float(value)) for name, value in counts.items())
    return Cause(kind=CauseKind(kind), code="GW000", title="t", share=share, sentence="s", evidence=evidence)


def finding(
    *causes: Cause, kind: Kind = Kind.VANISHING, layers: tuple[str, ...] = ("0",), **evidence: float
) -> Finding:
    return Finding(
        id=f"{kind}:loss",
        kind=kind,
        severity=Severity.CRITICAL,
        summary="made by hand",
        layers=layers,
        first_step=0,
        last_step=5,
        causes=causes,
        evidence=tuple(Quantity(name=name, value=value) for name, value in evidence.items()),
    )


def layer(name: str, kind: str = "Linear", std: float | None = DEFAULT, fans: tuple[int, int] = (64, 64)) -> Layer:
    family = {"BatchNorm1d": "norm", "RNN": "recurrent", "RNNCell": "recurrent", "LSTM": "recurrent"}
    family |= {"Embedding": "embedding", "MultiheadAttention": "attention"}
    return Layer(
        name=name,
        type=kind,
        family=family.get(kind, "linear"),
        parameters=4160,
        trainable=True,
        fan_in=fans[0],
        fan_out=fans[1],
        weight_std=std,
    )


def stack(activation: str | None = "Sigmoid", depth: int = 20, std: float | None = DEFAULT, kind="Linear") -> Anatomy:
    """``depth`` hidden layers with an activation each, and a head."""
    layers = [layer(str(2 * i), kind, std) for i in range(depth)] + [layer("head", std=std, fans=(64, 10))]
    names = tuple((str(2 * i + 1), activation) for i in range(depth) if activation)
    return Anatomy(layers=tuple(layers), activations=names)


def with_layers(anatomy: Anatomy, *kinds: str) -> Anatomy:
    """The same network with more layers, named after their kind."""
    extra = tuple(layer(kind.lower(), kind) for kind in kinds)
    return Anatomy(layers=anatomy.layers + extra, activations=anatomy.activations)
