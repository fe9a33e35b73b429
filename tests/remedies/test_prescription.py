"""Which remedy comes first for which cause in which network, and what it says."""

from __future__ import annotations

import pytest

from lightning_gradwatch.records import Anatomy, CauseKind, Kind
from lightning_gradwatch.remedies import prescribe, registry
from lightning_gradwatch.remedies.base import Advice, Cure, RemedyRule
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
        ["He initialisation", "batch normalisation", "residual connections"],
    ),
    "convolutions, torch's weights": (
        finding(cause("initialization", 0.87), cause("depth", 0.13)),
        stack("ReLU", kind="Conv2d"),
        ["He initialisation", "batch normalisation"],
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
    "no remedy against a detached path": (finding(cause("disconnected"), kind=Kind.DISCONNECTED), stack("ReLU"), []),
    "no cause is known": (finding(), stack("ReLU"), []),
}


@pytest.mark.parametrize(("found", "anatomy", "first"), CASES.values(), ids=list(CASES))
def test_ranking(found, anatomy, first):
    titles = [remedy.title for remedy in prescribe(found, anatomy)]
    assert titles[: len(first)] == first
    assert bool(titles) == bool(first)


def names(found, anatomy):
    return {remedy.name: remedy for remedy in prescribe(found, anatomy)}


# --- what does not apply ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("absent", "found", "anatomy"),
    [
        pytest.param(
            "InsertNormalization",
            finding(cause("depth"), **{"NativeLayerNorm segments": 4.0}),
            stack("ReLU"),
            id="normalised by a function",
        ),
        pytest.param("SwapRecurrent", finding(cause("recurrence")), LSTM, id="gated already"),
        pytest.param(
            "SwapRecurrent", finding(cause("depth"), layers=("0",)), RNN, id="plain RNN, but another layer is sick"
        ),
        pytest.param("ReplaceActivation", finding(cause("activation", Gelu=9)), stack("GELU"), id="not saturating"),
        pytest.param("ReplaceActivation", finding(cause("activation", Sigmoid=60)), LSTM, id="an LSTM's gates"),
        pytest.param("Initialize", finding(cause("initialization")), stack("ReLU", std=HE), id="He already"),
        pytest.param("PretrainLayerwise", finding(cause("depth")), RNN, id="a sequence"),
        pytest.param("AddResidual", finding(cause("depth")), stack("ReLU", depth=1), id="nothing to lead around"),
        pytest.param(
            "InsertNormalization", finding(cause("depth"), layers=("rnn",)), RNN, id="lost over time, not over layers"
        ),
    ],
)
def test_does_not_apply(absent, found, anatomy):
    assert absent not in names(found, anatomy)


def test_a_gradient_norm_is_no_normalisation():
    assert "InsertNormalization" in names(finding(cause("depth"), **{"gradient norm": 3.0}), stack("ReLU"))


def test_evidence_of_nothing_counts_nothing():
    assert "AddResidual" in names(finding(cause("depth"), **{"residual blocks": 0.0}), stack("ReLU"))


# --- what is said ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("found", [finding(cause("activation", Sigmoid=19)), finding(cause("activation", Relu=19))])
@pytest.mark.parametrize("std", [0.0722, HE, None])
def test_a_rectifier_is_never_advised_without_he(found, std):
    for remedy in prescribe(found, stack(None, std=std)):
        if "ReLU" in remedy.advice:
            assert "He initialisation" in remedy.advice


def test_relu_says_what_it_would_lose_with_the_weights_as_they_are():
    said = names(finding(cause("activation", Sigmoid=19)), stack("Sigmoid"))["ReplaceActivation"].reason
    # 19 x log10(sqrt(64 x 0.0722^2 / 2)) = -7.39 in the hidden layers, -0.79 in the head of 10 classes
    assert "ReLU alone would not do" in said
    assert "0.072, He gives 0.18" in said
    assert "about 8.2 decades" in said


def test_relu_says_so_where_the_weights_suit_it():
    said = names(finding(cause("activation", Sigmoid=19)), stack("Sigmoid", std=HE))["ReplaceActivation"].reason
    assert "suit a ReLU already" in said


@pytest.mark.parametrize(
    ("activation", "call", "scale"),
    [
        ("ReLU", 'nn.init.kaiming_normal_(w, nonlinearity="relu")', "0.18"),
        ("GELU", 'nn.init.kaiming_normal_(w, nonlinearity="relu")', "0.18"),
        ("Tanh", "nn.init.xavier_normal_(w)", "0.12"),
        ("Sigmoid", "nn.init.xavier_normal_(w)", "0.12"),
    ],
)
def test_initialisation_by_the_activation(activation, call, scale):
    remedy = names(finding(cause("initialization")), stack(activation))["Initialize"]
    assert call in remedy.advice
    assert "Adam" in remedy.advice
    assert f"a standard deviation of {scale} where these weights have 0.072" in remedy.reason


def test_the_scheme_of_the_diagnosis_counts_where_no_activation_is_seen():
    found = finding(cause("initialization"), **{"short of He initialisation": 7.4})
    assert names(found, stack(None))["Initialize"].title == "He initialisation"


def test_new_weights_do_not_cure_sigmoids():
    found = finding(cause("activation", 0.4, Sigmoid=19), cause("initialization", 0.6))
    assert prescribe(found, stack("Sigmoid", std=0.01))[0].name != "Initialize"
    tanh = finding(cause("activation", 0.1, Tanh=19), cause("initialization", 0.9))
    assert prescribe(tanh, stack("Tanh", std=0.01))[0].name == "Initialize"


def test_decay_says_that_it_does_not_repair_and_is_last():
    for found, anatomy, _ in CASES.values():
        told = prescribe(found, anatomy)
        if told and found.kind is Kind.VANISHING:
            assert told[-1].name == "DecayLR"
            assert len(told) > 1
            assert "does not repair a dead path" in told[-1].advice


def test_decay_is_not_first_for_vanishing_even_where_the_rate_is_to_blame():
    told = prescribe(finding(cause("learning_rate")), with_layers(stack("ReLU", std=HE), "BatchNorm1d"))
    assert [remedy.name for remedy in told] == ["SwitchOptimizer", "DecayLR"]


def test_numbers_of_the_finding_are_in_the_reason():
    said = prescribe(finding(cause("activation", 0.72, Sigmoid=19)), stack("Sigmoid"))[0].reason
    assert said.startswith("activation explains 72 % (Sigmoid segments 19); ")


def test_two_rules_of_one_kind_count_together():
    found = finding(cause("depth", 0.34), cause("initialization", 0.33), cause("initialization", 0.33))
    assert prescribe(found, stack("ReLU"))[0].name == "Initialize"


# --- remedies of other packages --------------------------------------------------------------------------------------


class Prayer(RemedyRule):
    """A remedy of another package."""

    name, title, source = "Prayer", "prayer", "somebody (2020)"
    cures = {CauseKind.DATA: Cure(fit=0.5, why="it may help.")}  # noqa: RUF012  as third parties write it

    def weigh(self, finding, anatomy):
        cause = self.target(finding)
        return cause and Advice(cause=cause.kind, fit=0.5, advice="Pray.", reason=self.because(cause))


class Raises(Prayer):
    name = "Raises"

    def weigh(self, finding, anatomy):
        raise ZeroDivisionError("theirs")


class Nameless(Prayer):
    name = ""


class Entry:
    value = "theirs:Thing"

    def __init__(self, name, item):
        self.name, self.item = name, item

    def load(self):
        if isinstance(self.item, Exception):
            raise self.item
        return self.item


@pytest.fixture
def offered(monkeypatch):
    def offer(*items):
        entries = [Entry(f"entry{i}", item) for i, item in enumerate(items)]
        monkeypatch.setattr(registry.metadata, "entry_points", lambda group: entries if group == registry.GROUP else [])
        registry.remedies.cache_clear()

    yield offer
    registry.remedies.cache_clear()


def test_another_package_adds_a_remedy(offered):
    offered(Prayer)
    assert [remedy.title for remedy in prescribe(finding(cause("data")), Anatomy())] == ["prayer"]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        pytest.param(ImportError("gone"), "gone", id="cannot be imported"),
        pytest.param("text", "must name a subclass of RemedyRule", id="no class"),
        pytest.param(RemedyRule, "must name a subclass of RemedyRule", id="abstract"),
        pytest.param(Nameless, "does not define name", id="incomplete"),
    ],
)
def test_a_broken_remedy_of_another_package_is_left_out_and_said(offered, item, told):
    own = {rule.name for rule in registry.remedies()}
    offered(item, Prayer)
    with pytest.warns(UserWarning, match=told):
        assert {rule.name for rule in registry.remedies()} == own | {"Prayer"}


def test_a_remedy_of_another_package_that_raises_is_left_out_and_said(offered):
    offered(Raises, Prayer)
    with pytest.warns(UserWarning, match="'Raises' is left out: ZeroDivisionError"):
        assert [remedy.name for remedy in prescribe(finding(cause("data")), Anatomy())] == ["Prayer"]


def test_ours_cannot_be_replaced(offered):
    own = registry.remedies()[0]
    offered(type("Impostor", (Prayer,), {"name": own.name}))
    assert type(registry.remedies()[0]) is type(own)
