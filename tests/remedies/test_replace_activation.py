"""What stands in for a saturating activation, and never without its weights."""

from __future__ import annotations

import copy

import pytest
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.initialize import Initialize
from lightning_gradwatch.remedies.registry import remake
from lightning_gradwatch.remedies.replace_activation import ReplaceActivation
from tests.callbacks import fits
from tests.callbacks.fits import both_namespaces
from tests.remedies.findings import DEFAULT, HE, cause, finding, stack, with_layers
from tests.remedies.fits import deep, fitted, leaves_no_trace

RULE = ReplaceActivation()
SIGMOID = finding(cause("activation", Sigmoid=19))


@pytest.mark.parametrize("found", [SIGMOID, finding(cause("activation", Relu=19))], ids=["sigmoid", "relu"])
@pytest.mark.parametrize("std", [DEFAULT, HE, None], ids=str)
def test_a_rectifier_is_never_advised_without_he(found, std):
    for remedy in prescribe(found, stack(None, std=std)):
        assert "ReLU" not in remedy.advice or "He initialisation" in remedy.advice


def test_it_says_what_relu_would_lose_with_the_weights_as_they_are():
    said = RULE.weigh(SIGMOID, stack("Sigmoid")).reason
    # 19 x log10(sqrt(64 x 0.0722^2 / 2)) = -7.39 in the hidden layers, -0.79 in the head of 10 classes
    assert "ReLU alone would not do" in said
    assert "0.072, He gives 0.18" in said
    assert "about 8.2 decades" in said
    assert 'nn.init.kaiming_normal_(w, nonlinearity="relu")' in said


@pytest.mark.parametrize(
    ("std", "said"),
    [
        pytest.param(HE, "suit a ReLU already", id="He already"),
        pytest.param(None, "0.39 decades a layer", id="unknown"),
    ],
)
def test_it_knows_the_weights(std, said):
    assert said in RULE.weigh(SIGMOID, stack("Sigmoid", std=std)).reason


@pytest.mark.parametrize(
    ("found", "anatomy"),
    [
        pytest.param(finding(cause("activation", Gelu=9)), stack("GELU"), id="not saturating"),
        pytest.param(finding(cause("activation")), stack(None), id="none is known"),
        pytest.param(
            finding(cause("activation", Sigmoid=60)), with_layers(stack(None), "LSTM"), id="the gates of an LSTM"
        ),
        pytest.param(
            finding(cause("activation", Tanh=60), layers=("rnn",)), with_layers(stack("Tanh"), "RNN"), id="over time"
        ),
    ],
)
def test_does_not_apply(found, anatomy):
    assert RULE.weigh(found, anatomy) is None


def test_dead_relus_get_a_slope():
    dead = RULE.weigh(finding(cause("activation"), kind=Kind.DEAD_UNITS), stack("ReLU"))
    weak = RULE.weigh(finding(cause("activation")), stack("ReLU"))
    assert dead.title == weak.title == "LeakyReLU with He initialisation"
    assert dead.fit > weak.fit


# --- the treatment ----------------------------------------------------------------------------------------------------


def test_arguments_are_checked_and_shown():
    with pytest.raises(WrongArgument, match="`to` must be one of the words below"):
        ReplaceActivation("sigmoid")
    treatment = ReplaceActivation("elu", where=["net"])
    assert repr(treatment) == "ReplaceActivation('elu', where=['net'])"
    assert repr(remake(treatment.spec())) == repr(treatment)


@pytest.mark.parametrize(
    ("found", "anatomy", "to"),
    [
        (SIGMOID, stack("Sigmoid"), "relu"),
        (finding(cause("activation"), kind=Kind.DEAD_UNITS), stack("ReLU"), "leaky_relu"),
        (finding(cause("activation")), stack("ReLU"), "leaky_relu"),
    ],
)
def test_tailored(found, anatomy, to):
    made = ReplaceActivation("gelu", where=["a"]).tailored(found, anatomy)
    assert (made.to, made.where) == (to, ["a"])


@pytest.mark.parametrize("to", ["relu", "prelu", "gelu"])
def test_undone_it_leaves_no_trace(to):
    assert leaves_no_trace(ReplaceActivation(to), deep())


def test_what_has_nothing_to_replace_says_so():
    why = ReplaceActivation().applies_to(deep(nn.ReLU))
    assert why.why_not == "It has no activation that this would replace."
    assert ReplaceActivation("elu").applies_to(deep(nn.ReLU))
    assert not ReplaceActivation().apply(deep(nn.ReLU))


@both_namespaces
@pytest.mark.parametrize("to", ["relu", "prelu"])
def test_in_a_fit(namespace, to):
    treatment = ReplaceActivation(to)
    module, run = fitted(treatment, namespace, deep())
    assert treatment.applied.changed == ("net.1", "net.3", "net.5")
    assert all(type(module.net[i]).__name__.lower() == to for i in (1, 3, 5))
    held = {id(p) for group in run.optimizers[0].param_groups for p in group["params"]}
    assert held == {id(p) for p in module.parameters()}
    if to == "prelu":
        assert module.net[1].weight.item() != 0.25, "its slope was trained"


@both_namespaces
def test_a_checkpoint_of_a_treated_network_resumes_treated(namespace, tmp_path):
    module, run = fitted(ReplaceActivation("prelu"), namespace, deep())
    run.save_checkpoint(tmp_path / "last.ckpt")
    again = ReplaceActivation("prelu")
    resumed = fits.module(namespace, deep())
    fits.trainer(namespace, [again], max_steps=12, max_epochs=2).fit(
        resumed, fits.data(), ckpt_path=str(tmp_path / "last.ckpt")
    )
    assert again.applied
    assert type(resumed.net[1]).__name__ == "PReLU"
    assert len(list(resumed.parameters())) == len(list(module.parameters()))


def test_the_gradient_comes_through_again():
    """What it is for: ten layers of sigmoids hand the first layer next to nothing."""
    net = deep(depth=10)
    twin = copy.deepcopy(net)
    ReplaceActivation().apply(net)
    Initialize().apply(net)
    x, y = next(iter(fits.data()))
    norms = []
    for model in (twin, net):
        nn.functional.cross_entropy(model(x), y).backward()
        norms.append(model[0].weight.grad.norm().item())
    assert norms[1] > 1e4 * norms[0]
