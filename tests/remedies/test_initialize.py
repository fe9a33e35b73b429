"""Which weights, for which activation."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import prescribe
from lightning_gradwatch.remedies.initialize import Initialize
from lightning_gradwatch.remedies.moments import Moment
from lightning_gradwatch.remedies.registry import remake
from tests.callbacks import fits
from tests.callbacks.fits import both_namespaces
from tests.remedies.findings import HE, XAVIER, cause, finding, stack, with_layers
from tests.remedies.fits import deep, fitted, leaves_no_trace

RULE = Initialize()
FOUND = finding(cause("initialization"))
HE_CALL, XAVIER_CALL = 'nn.init.kaiming_normal_(w, nonlinearity="relu")', "nn.init.xavier_normal_(w)"


@pytest.mark.parametrize(
    ("activation", "call", "scale"),
    [
        ("ReLU", HE_CALL, "0.18"),
        ("LeakyReLU", HE_CALL, "0.18"),
        ("GELU", HE_CALL, "0.18"),
        ("Tanh", XAVIER_CALL, "0.12"),
        ("Sigmoid", XAVIER_CALL, "0.12"),
        ("SELU", XAVIER_CALL, "0.12"),  # of a square layer, the LeCun scale that SELU is made for
    ],
)
def test_by_the_activation(activation, call, scale):
    advice = RULE.weigh(FOUND, stack(activation))
    assert call in advice.advice
    assert "Adam" in advice.advice
    assert f"a standard deviation of {scale} where these weights have 0.072" in advice.reason


@pytest.mark.parametrize(
    ("found", "title"),
    [
        pytest.param(finding(cause("initialization"), **{"short of He initialisation": 7.4}), "He", id="He"),
        pytest.param(FOUND, "Xavier", id="nothing said"),
    ],
)
def test_the_scheme_of_the_diagnosis_counts_where_no_activation_is_seen(found, title):
    assert RULE.weigh(found, stack(None)).title == f"{title} initialisation"


@pytest.mark.parametrize(
    ("activation", "std", "applies"),
    [("ReLU", HE, False), ("Tanh", XAVIER, False), ("Tanh", HE, True), ("ReLU", None, True), ("ReLU", 0.0, True)],
)
def test_weights_that_have_the_scale_already_are_left(activation, std, applies):
    assert (RULE.weigh(FOUND, stack(activation, std=std)) is not None) is applies


def test_new_weights_do_not_cure_sigmoids():
    found = finding(cause("activation", 0.4, Sigmoid=19), cause("initialization", 0.6))
    assert RULE.weigh(found, stack("Sigmoid", std=0.01)).fit == pytest.approx(0.95 * 0.6)
    assert prescribe(found, stack("Sigmoid", std=0.01))[0].name != "Initialize"


def test_new_weights_cure_tanhs():
    found = finding(cause("activation", 0.1, Tanh=19), cause("initialization", 0.9))
    assert RULE.weigh(found, stack("Tanh", std=0.01)).fit == 0.95


def test_a_loss_over_time_is_not_cured_by_the_linear_layers():
    assert RULE.weigh(finding(cause("initialization"), layers=("rnn",)), with_layers(stack("ReLU"), "RNN")) is None


def test_biases_may_kill_units_behind_weights_of_the_right_scale():
    said = RULE.weigh(finding(cause("initialization"), kind=Kind.DEAD_UNITS), stack("ReLU", std=HE))
    assert said.advice.endswith("biases 0.")


# --- the treatment ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"scheme": "hee"}, "`scheme` must be one of the words below"),
        ({"gain": 0.0}, "`gain` must be a number above 0, or None"),
        ({"gain": "1"}, "`gain` must be a number above 0, or None"),
        ({"keep_trained": 1}, "`keep_trained` must be True or False"),
    ],
)
def test_arguments_are_checked(arguments, said):
    with pytest.raises(WrongArgument, match=said):
        Initialize(**arguments)


def test_it_is_plain_data():
    treatment = Initialize("he", gain=2.0, keep_trained=False, seed=3)
    assert repr(treatment) == "Initialize('he', gain=2.0, keep_trained=False, seed=3)"
    assert repr(remake(treatment.spec())) == repr(treatment)


def test_data_are_asked_for_by_lsuv_only():
    assert Initialize("lsuv").moment is Moment.DATA
    assert copy.deepcopy(Initialize("lsuv")).moment is Moment.DATA
    assert Initialize().moment is Initialize("he").moment is Moment.SETUP


def test_where_weights_are_blamed_they_are_drawn_learnt_or_not():
    assert not Initialize("lsuv").tailored(FOUND, stack("ReLU")).keep_trained
    assert Initialize(where=["a"]).tailored(finding(cause("depth")), stack("ReLU")).where == ["a"]
    assert Initialize().tailored(finding(cause("depth")), stack("ReLU")).keep_trained


@pytest.mark.parametrize("scheme", ["auto", "orthogonal", "lsuv"])
def test_undone_it_leaves_no_trace(scheme):
    assert leaves_no_trace(Initialize(scheme), deep(nn.ReLU), batches=fits.data)


@pytest.mark.parametrize(
    ("scheme", "call"), [("auto", "kaiming_normal_"), ("xavier", "xavier_normal_"), ("lecun", "linear")]
)
def test_the_lines_to_add_run_and_give_the_spread(scheme, call):
    told = Initialize(scheme).advice(deep(nn.ReLU))
    assert call in told
    lines = told.partition("\n\n")[2].rpartition("\n\n")[0]
    home = {"nn": nn}
    exec(lines, home)
    model = deep(nn.ReLU).apply(home["init_weights"])
    treated = deep(nn.ReLU)
    Initialize("he" if scheme == "auto" else scheme).apply(treated)
    assert model[0].weight.std().item() == pytest.approx(treated[0].weight.std().item(), rel=0.1)


@both_namespaces
@pytest.mark.parametrize("scheme", ["auto", "lsuv"])
def test_in_a_fit(namespace, scheme):
    treatment = Initialize(scheme)
    net = deep(nn.ReLU)
    drawn = []
    first = fits.module(namespace, net, on_step=lambda module, _: drawn.append(module.net[2].weight.std().item()))
    fits.trainer(namespace, [treatment], max_steps=5).fit(first, fits.data())
    assert treatment.applied.changed == ("net.0", "net.2", "net.4", "net.6")
    assert len(drawn) == 5
    if scheme == "auto":
        assert drawn[0] == pytest.approx((2 / 16) ** 0.5, rel=0.2)
    else:
        assert "scaled to outputs of variance 1" in treatment.applied.did[-1]


@both_namespaces
@pytest.mark.parametrize("scheme", ["auto", "lsuv"])
def test_a_resumed_fit_is_not_drawn_again(namespace, scheme, tmp_path):
    module, run = fitted(Initialize(scheme), namespace, deep(nn.ReLU))
    run.save_checkpoint(tmp_path / "last.ckpt")
    seen = []
    resumed = fits.module(namespace, deep(nn.ReLU), on_step=lambda one, _: seen.append(one.net[0].weight.clone()))
    again = fits.trainer(namespace, [Initialize(scheme)], max_steps=10, max_epochs=2)
    again.fit(resumed, fits.data(), ckpt_path=str(tmp_path / "last.ckpt"))
    assert torch.equal(seen[0], module.net[0].weight)
