"""Which remedy comes first for which cause in which network."""

from __future__ import annotations

import pytest

from lightning_gradwatch.records import CauseKind, Kind
from lightning_gradwatch.remedies import prescribe
from tests.remedies.findings import HE, cause, finding, stack, with_layers

RNN = with_layers(stack(None, depth=1), "RNN")
LSTM = with_layers(stack(None, depth=1), "LSTM")
CASES = {
    "sigmoid": (
        finding(cause("activation", 0.72, Sigmoid=19), cause("initialization", 0.28)),
        stack("Sigmoid"),
        ["ReLU with He initialisation", "batch normalisation", "residual connections"],
    ),
    "sigmoid, functional": (
        finding(cause("activation", 0.72, Sigmoid=19), cause("initialization", 0.28)),
        stack(None),
        ["ReLU with He initialisation", "batch normalisation", "residual connections"],
    ),
    "tanh saturated": (
        finding(cause("activation", 0.8, Tanh=19), cause("initialization", 0.2)),
        stack("Tanh"),
        ["ReLU with He initialisation", "batch normalisation", "residual connections"],
    ),
    "sigmoid, normalised already": (
        finding(cause("activation", 1.0, Sigmoid=19)),
        with_layers(stack("Sigmoid"), "BatchNorm1d"),
        ["ReLU with He initialisation", "residual connections"],
    ),
    "relu, torch's weights": (
        finding(cause("initialization", 0.87), cause("depth", 0.13)),
        stack("ReLU"),
        ["He initialisation", "residual connections", "batch normalisation"],
    ),
    "convolutions, torch's weights": (
        finding(cause("initialization", 0.87), cause("depth", 0.13)),
        stack("ReLU", kind="Conv2d"),
        ["He initialisation", "residual connections"],
    ),
    "tanh, tiny weights": (
        finding(cause("initialization", 0.95), cause("depth", 0.05)),
        stack("Tanh", std=0.01),
        ["Xavier initialisation"],
    ),
    "gelu, deep": (
        finding(cause("depth", 0.9), cause("activation", 0.1, Gelu=99)),
        stack("GELU", depth=100, std=HE),
        ["residual connections", "batch normalisation", "layer-wise pretraining"],
    ),
    "deep and residual already": (
        finding(cause("depth"), **{"residual blocks": 12.0}),
        stack("ReLU", std=HE),
        ["batch normalisation"],
    ),
    "text": (
        finding(cause("depth")),
        with_layers(stack("ReLU"), "Embedding"),
        ["residual connections", "layer normalisation"],
    ),
    "plain RNN through time": (
        finding(cause("recurrence"), layers=("rnn",)),
        RNN,
        ["LSTM or GRU in place of the plain RNN"],
    ),
    "plain RNN, blamed on its tanh": (
        finding(cause("activation", 0.6, Tanh=40), cause("initialization", 0.4), layers=("rnn",)),
        RNN,
        ["LSTM or GRU in place of the plain RNN"],
    ),
    "relu that died": (
        finding(cause("activation"), kind=Kind.DEAD_UNITS),
        stack("ReLU", std=HE),
        ["LeakyReLU with He initialisation"],
    ),
    "exploding by its rate": (
        finding(cause("learning_rate"), kind=Kind.EXPLODING),
        stack("ReLU", std=HE),
        ["learning-rate decay"],
    ),
    "a detached path": (
        finding(cause("disconnected"), kind=Kind.DISCONNECTED),
        stack("ReLU"),
        ["a path to the loss"],
    ),
    "raw pixels": (finding(cause("data"), kind=Kind.SATURATION), stack("Tanh"), ["standardised inputs"]),
    "log of zero": (finding(cause("numerics"), kind=Kind.NONFINITE), stack(), ["an operation that cannot break"]),
    "a loss out of scale": (finding(cause("loss"), kind=Kind.STALLED), stack(), ["a loss in scale"]),
    "a rate that is too low": (finding(cause("learning_rate"), kind=Kind.STALLED), stack(), ["a higher learning rate"]),
    "sums without a scale": (
        finding(cause("residual"), kind=Kind.EXPLODING),
        stack("ReLU"),
        ["residual branches that begin at zero"],
    ),
    "through time, exploding": (
        finding(cause("recurrence"), kind=Kind.EXPLODING, layers=("lstm",)),
        LSTM,
        ["clipping by norm"],
    ),
    "no normalisation": (finding(cause("normalization"), kind=Kind.EXPLODING), stack("ReLU"), ["batch normalisation"]),
    "no cause is known": (finding(), stack("ReLU"), []),
}


@pytest.mark.parametrize(("found", "anatomy", "first"), CASES.values(), ids=list(CASES))
def test_ranking(found, anatomy, first):
    titles = [remedy.title for remedy in prescribe(found, anatomy)]
    assert titles[: len(first)] == first
    assert bool(titles) == bool(first)


def test_decay_says_that_it_does_not_repair_and_is_last():
    for found, anatomy, _ in CASES.values():
        told = prescribe(found, anatomy)
        if told and found.kind is Kind.VANISHING:
            assert told[-1].name == "DecayLR"
            assert len(told) > 1


def test_two_rules_of_one_kind_count_together():
    found = finding(cause("depth", 0.34), cause("initialization", 0.33), cause("initialization", 0.33))
    assert prescribe(found, stack("ReLU"))[0].name == "Initialize"


def test_the_cause_that_it_is_given_for_comes_first():
    found = finding(cause("activation", 0.6, Sigmoid=19), cause("depth", 0.4))
    cured = {remedy.name: remedy.cures for remedy in prescribe(found, stack("Sigmoid"))}
    assert cured["InsertNormalization"] == (CauseKind.ACTIVATION, CauseKind.DEPTH)
    assert cured["ReplaceActivation"] == (CauseKind.ACTIVATION,)
