"""Which cases there are: every row of the golden table, one network for every other cause, and a cure for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from lightning_gradwatch.cases.networks import cnn, mlp, recall
from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import CauseKind, Kind


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network whose gradient flow is known, and why it is as it is."""

    name: str  # "sigmoid-default"
    title: str  # one line for people
    cause: str  # why it is sick or healthy, one sentence
    build: Callable[[], nn.Module]  # weights from torch's global generator; use ``network()`` for fixed ones
    cure: str | None = None  # name of the healthy twin; None: it needs none
    expected: Kind | None = None  # what a right watch finds; None: it stays silent
    expected_cause: CauseKind | None = None  # ... and the first cause it names
    steps: int = 60  # training steps after which the expected cause is the first (it may pass into another)

    @property
    def healthy(self) -> bool:
        """Whether a right watch stays silent."""
        return self.expected is None

    def network(self, seed: int = 0) -> nn.Module:
        """The network with the weights of that seed; torch's global generator stays as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.build()


_SICK = (
    Case(
        name="sigmoid-default",
        title="20 sigmoid layers as torch makes them",
        cause="The sigmoid's slope is at most 1/4, so 20 of them cost 12 decades; torch's initialisation costs 5 more.",
        build=partial(mlp, activation="sigmoid"),
        cure="relu-he",
        expected=Kind.VANISHING,
        expected_cause=CauseKind.ACTIVATION,
    ),
    Case(
        name="sigmoid-xavier",
        title="20 sigmoid layers, Xavier initialisation",
        cause="The weights keep the gradient's size; the sigmoid's slope of at most 1/4 alone loses it.",
        build=partial(mlp, activation="sigmoid", init="xavier"),
        cure="tanh-xavier",
        expected=Kind.VANISHING,
        expected_cause=CauseKind.ACTIVATION,
    ),
    Case(
        name="sigmoid-saturated",
        title="20 sigmoid layers, weights from N(0, 1)",
        cause="Weights that are far too large saturate the sigmoids and then undo the loss: the sum looks healthy.",
        build=partial(mlp, activation="sigmoid", init=("normal", 1.0)),
        cure="sigmoid-batchnorm",
        expected=Kind.SATURATION,
        expected_cause=CauseKind.INITIALIZATION,
    ),
    Case(
        name="tanh-small",
        title="20 tanh layers, weights from N(0, 0.01)",
        cause="The weights are so small that every layer keeps a twelfth of the gradient; the tanh loses nothing.",
        build=partial(mlp, activation="tanh", init=("normal", 0.01)),
        cure="tanh-xavier",
        expected=Kind.VANISHING,
        expected_cause=CauseKind.INITIALIZATION,
    ),
    Case(
        name="tanh-default",
        title="20 tanh layers as torch makes them",
        cause="Torch's initialisation loses 5 decades at the start; some 30 steps on, saturated tanhs lose the most.",
        build=partial(mlp, activation="tanh"),
        cure="tanh-xavier",
        expected=Kind.VANISHING,
        expected_cause=CauseKind.INITIALIZATION,
        steps=10,
    ),
    Case(
        name="relu-default",
        title="20 ReLU layers as torch makes them",
        cause="Torch's weights are a factor 2.4 too small for ReLU: ReLU alone does not cure a deep network.",
        build=partial(mlp, activation="relu"),
        cure="relu-he",
        expected=Kind.VANISHING,
        expected_cause=CauseKind.INITIALIZATION,
    ),
    Case(
        name="tanh-deep",
        title="100 tanh layers, weights a little below Xavier's",
        cause="Every layer keeps nine tenths of the gradient, yet there are 100 of them; 20 of the same are healthy.",
        build=partial(mlp, depth=100, activation="tanh", init=("normal", 0.114)),
        cure="tanh-residual",
        expected=Kind.VANISHING,
        expected_cause=CauseKind.DEPTH,
    ),
    Case(
        name="cnn-default",
        title="20 convolutions with ReLU as torch makes them",
        cause="Torch's weights are a factor 2.4 too small for ReLU, in convolutions as in linear layers.",
        build=cnn,
        cure="cnn-he",
        expected=Kind.VANISHING,
        expected_cause=CauseKind.INITIALIZATION,
    ),
    Case(
        name="rnn-recall",
        title="a plain RNN that names a digit 40 steps after reading it",
        cause="The gradient passes the same small weights once a time step and never gets back to the digit.",
        build=partial(recall, "rnn"),
        cure="lstm-recall",
        expected=Kind.VANISHING,
        expected_cause=CauseKind.RECURRENCE,
    ),
)

_HEALTHY = (
    Case(
        name="tanh-xavier",
        title="20 tanh layers, Xavier initialisation",
        cause="Slope 1 around zero, and weights that keep the size of what passes.",
        build=partial(mlp, activation="tanh", init="xavier"),
    ),
    Case(
        name="relu-he",
        title="20 ReLU layers, He initialisation",
        cause="The weights make up for the half that ReLU cuts away.",
        build=partial(mlp, activation="relu", init="he"),
    ),
    Case(
        name="relu-he-batchnorm",
        title="20 ReLU layers, He initialisation and batch normalisation",
        cause="As relu-he; normalising the healthy does no harm.",
        build=partial(mlp, activation="relu", init="he", norm=True),
    ),
    Case(
        name="sigmoid-batchnorm",
        title="20 sigmoid layers with batch normalisation",
        cause="The normalisation gives back what sigmoids and weights lose.",
        build=partial(mlp, activation="sigmoid", norm=True),
    ),
    Case(
        name="tanh-residual",
        title="100 tanh layers with batch normalisation and residual connections",
        cause="The residual stream carries the gradient past every layer.",
        build=partial(mlp, depth=100, activation="tanh", init=("normal", 0.114), norm=True, residual=True),
    ),
    Case(
        name="cnn-he",
        title="20 convolutions with ReLU, He initialisation",
        cause="The weights make up for the half that ReLU cuts away.",
        build=partial(cnn, init="he"),
    ),
    Case(
        name="lstm-recall",
        title="an LSTM that names a digit 40 steps after reading it, its forget gates open at the start",
        cause="Forget gates that start near 1 carry the gradient through time.",
        build=partial(recall, "lstm", remember=True),
    ),
)

CASES: dict[str, Case] = {case.name: case for case in (*_SICK, *_HEALTHY)}


def find(name: str) -> Case:
    """The case of that name.

    Raises:
        WrongArgument: there is none; the message lists the names there are.

    Example:
        >>> find("relu-default").cure
        'relu-he'
    """
    if name not in CASES:
        raise WrongArgument("case", "the name of a case", name, CASES)
    return CASES[name]
