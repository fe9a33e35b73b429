"""The ledger's invariant: nothing is estimated, and nothing is disturbed."""

import gc
import math
import weakref

import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.ledger import open_ledger
from tests.measure.networks import NETWORKS, Checkpointed, Mlp, batch, loss_of
from tests.reference import twins

networks = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS.keys())


def made(build):
    torch.manual_seed(0)
    return build()


def read(model, loss, **options):
    ledger = open_ledger(loss.grad_fn, parameter_names(model), **options)
    loss.backward()
    ledger.close()
    return ledger.finish([float(reading) for reading in ledger.pending()])


@networks
def test_segments_add_up_to_the_whole(build):
    model = made(build)
    ledger = read(model, loss_of(model, *batch(model)))
    assert len(ledger.segments) >= 3
    assert ledger.start == pytest.approx(0.0, abs=1e-6)  # dL/dL = 1
    assert sum(s.decades for s in ledger.segments) == pytest.approx(ledger.end - ledger.start, abs=1e-4)
    assert ledger.decades == pytest.approx(ledger.end, abs=1e-4)


@networks
def test_end_norms_are_autograd_s(build):
    model = made(build)
    x, y = batch(model)
    true = twins.gradients_at(model, ["first"], lambda m: loss_of(m, x, y))
    ledger = read(model, loss_of(model, x, y))
    assert ledger.target_layer == "first"
    assert 10**ledger.end == pytest.approx(true["first"], rel=1e-2 if build is NETWORKS["autocast"] else 1e-5)


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "plain rnn", "weight sharing"])
def test_head_s_gradient_is_autograd_s(name):
    model = made(NETWORKS[name])
    x, y = batch(model)
    true = twins.gradients_at(model, ["head"], lambda m: loss_of(m, x, y))
    ledger = read(model, loss_of(model, x, y))
    before_head = ledger.start + sum(s.decades for s in ledger.segments[: ledger.head])
    assert 10**before_head == pytest.approx(true["head"], rel=1e-5)


@networks
def test_gradients_and_graph_are_untouched(build):
    watched, plain = made(build), made(build)
    read(watched, loss_of(watched, *batch(watched)))
    loss_of(plain, *batch(plain)).backward()
    for ours, theirs in zip(watched.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


def test_hand_worked_chain():
    """loss = 3 * sigmoid(0)-like chain: y = w2 * sigmoid(w1 * x), x = 1, w1 = 0, w2 = 2: dy/d(w1 x) = 2 * 0.25."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Sigmoid(), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(0.0)
        model[2].weight.fill_(2.0)
    ledger = read(model, model(torch.ones(1, 1)).sum())
    decades = {s.operations[0].name: s.decades for s in ledger.segments}
    assert decades["Mm"] == pytest.approx(math.log10(2.0))
    assert decades["Sigmoid"] == pytest.approx(math.log10(0.25))
    assert ledger.by_family()["activation"] == pytest.approx(-0.60206, abs=1e-5)
    [sigmoid] = [s for s in ledger.segments if s.family == "activation"]
    assert (sigmoid.slope, sigmoid.layer, sigmoid.label) == (pytest.approx(1.0), "0", "Sigmoid after 0")


@pytest.mark.parametrize("size", [1e-38, 1e-30, 1.0, 1e30])
def test_gradients_beyond_float32_s_squares(size):
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        model[1].weight.fill_(size)
    ledger = read(model, model(torch.ones(2, 4)).sum())
    assert 10**ledger.end == pytest.approx(size * math.sqrt(8), rel=1e-4)  # 2 samples x 4 features, `size` each


def test_scaled_loss_reads_as_the_true_one():
    model = made(Mlp)
    x, y = batch(model)
    plain = read(model, loss_of(model, x, y))
    scaled = loss_of(model, x, y)
    ledger = open_ledger(scaled.grad_fn, parameter_names(model), scale=1024.0)
    (scaled * 1024.0).backward()
    ledger.close()
    result = ledger.finish([float(reading) for reading in ledger.pending()])
    assert result.end == pytest.approx(plain.end, abs=1e-4)


def test_any_parameter_may_be_the_target():
    model = made(Mlp)
    ledger = read(model, loss_of(model, *batch(model)), target="hidden.3.weight")
    assert (ledger.target, ledger.target_layer) == ("hidden.3.weight", "hidden.3")
    assert not any("first" in s.layer for s in ledger.segments)


def test_frozen_layers_are_no_target():
    model = made(Mlp)
    model.first.requires_grad_(False)
    assert read(model, loss_of(model, *batch(model))).target_layer == "hidden.1"


def test_deep_chain_of_ten_thousand_layers():
    weights = nn.ParameterList(nn.Parameter(torch.full((1,), 1.0)) for _ in range(10_000))
    value = torch.ones(1)
    for weight in weights:
        value = value * weight
    ledger = read(weights, value.sum())
    assert len(ledger.segments) >= 9_999
    assert ledger.decades == pytest.approx(0.0, abs=1e-4)


def test_two_thousand_residual_blocks():
    """2^2000 paths: counting them must not overflow."""
    weights = nn.ParameterList(nn.Parameter(torch.full((1,), 1e-4)) for _ in range(2_000))
    value = torch.ones(1) * weights[0]
    for weight in list(weights)[1:]:
        value = value + value * weight
    ledger = read(weights, value.sum())
    assert len(ledger.segments) >= 1_999
    assert ledger.decades == pytest.approx(1_999 * math.log10(1.0001), abs=1e-3)


def test_checkpointed_regions_are_not_run_again():
    model = made(Checkpointed)
    loss = loss_of(model, *batch(model))
    forward_runs = model.runs
    ledger = open_ledger(loss.grad_fn, parameter_names(model))
    assert model.runs == forward_runs  # opening read nothing that was packed
    loss.backward()
    ledger.close()
    assert model.runs == 2 * forward_runs  # the backward's own recomputation, no more


@pytest.mark.parametrize("how", ["backward", "error", "never"])
def test_no_hook_and_no_reference_stays(how):
    model = made(Mlp)
    x, y = batch(model)
    output = model(x)
    alive = weakref.ref(output)
    loss = nn.functional.cross_entropy(output, y)
    ledger = open_ledger(loss.grad_fn, parameter_names(model))
    if how == "backward":
        loss.backward()
    elif how == "error":
        output.register_hook(lambda g: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            loss.backward()
    ledger.close()
    ledger.close()
    if how != "backward":
        assert ledger.finish([]) is None
    del output, loss
    gc.collect()
    assert alive() is None


def test_an_error_in_our_hook_leaves_the_backward_alone(monkeypatch):
    model = made(Mlp)
    loss = loss_of(model, *batch(model))
    monkeypatch.setattr("lightning_gradwatch.measure.ledger.joint_l2", lambda gradients: 1 / 0)
    ledger = open_ledger(loss.grad_fn, parameter_names(model))
    loss.backward()
    ledger.close()
    assert all(p.grad is not None for p in model.parameters())
    with pytest.raises(ZeroDivisionError):
        ledger.finish([])


def test_second_backward_through_the_same_graph_is_not_read():
    model = made(Mlp)
    loss = loss_of(model, *batch(model))
    ledger = open_ledger(loss.grad_fn, parameter_names(model))
    loss.backward(retain_graph=True)
    first = [float(reading) for reading in ledger.pending()]
    (loss * 100).backward()
    ledger.close()
    assert [float(reading) for reading in ledger.pending()] == first


def test_dead_units_and_slopes():
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 1))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.copy_(torch.tensor([-1.0] * 7 + [1.0] * 3))
    ledger = read(model, model(torch.randn(16, 4)).sum())
    [relu] = [s for s in ledger.segments if s.family == "activation"]
    assert (relu.dead, relu.slope) == (pytest.approx(0.7), pytest.approx(0.3))


def test_layers_of_reused_weights_are_told():
    model = made(NETWORKS["weight sharing"])
    ledger = read(model, loss_of(model, *batch(model)))
    assert {s.layer for s in ledger.segments if s.reused} == {"shared"}
    assert sum(s.reused for s in ledger.segments) == 3


def test_residual_blocks_are_one_segment_each_with_their_own_name():
    model = made(NETWORKS["residual"])
    ledger = read(model, loss_of(model, *batch(model)))
    assert [s.layer for s in ledger.segments if s.family == "block"] == [f"blocks.{i}" for i in (4, 3, 2, 1, 0)]


def test_reentrant_checkpoint_is_opaque():
    model = made(NETWORKS["residual"])
    x, y = batch(model)
    inner = torch.utils.checkpoint.checkpoint(model.blocks[0], model.first(x), use_reentrant=True)
    ledger = read(model, nn.functional.cross_entropy(model.head(inner), y))
    assert ledger.closed
    assert not read(model, loss_of(model, x, y)).closed


def test_nothing_to_reach():
    constant = torch.ones(1, requires_grad=True).sum()
    assert open_ledger(constant.grad_fn, {}) is None
