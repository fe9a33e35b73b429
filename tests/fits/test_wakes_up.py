"""Sampling that wakes up: what happens between two scheduled steps is measured at once, and little else."""

import contextlib
import importlib
import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lightning_gradwatch import GradWatch, LoopWatch
from lightning_gradwatch.callbacks.wakefulness import Wakefulness
from lightning_gradwatch.measure.schedule import Schedule
from tests.callbacks.fits import NAMESPACES, both_namespaces, module, trainer

RARELY = 100_000  # the regular cadence finds nothing
ONSET = 141


def deep(width=8, depth=12):
    """Tanh with Xavier weights: healthy however deep."""
    torch.manual_seed(0)
    layers = [nn.Linear(width, width) for _ in range(depth)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight, nn.init.calculate_gain("tanh"))
    return nn.Sequential(*(one for layer in layers for one in (layer, nn.Tanh())), nn.Linear(width, 3))


def batches(count, width=8):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(64, width, generator=generator)
    y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
    four = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 64, 16)]
    return [four[i % 4] for i in range(count)]


def fades(net):
    """From now on the layers near the input get nothing."""
    with torch.no_grad():
        for layer in net[:8:2]:
            layer.weight.mul_(1e-6)


def at(step, act):
    return lambda fitted, batch_idx: act(fitted.net) if batch_idx == step else None


def run(count, *, watch=None, on_step=None, namespace=NAMESPACES[0], fitted=None, callbacks=(), **options):
    watch = GradWatch(every_n_steps=RARELY, strict=True, verbose=False) if watch is None else watch
    if fitted is None:
        fitted = module(namespace, deep(), "SGD", rate=0.01, on_step=on_step)
    trainer(namespace, [watch, *callbacks], **options).fit(fitted, DataLoader(batches(count), batch_size=None))
    return watch.report


def beside(report, every=RARELY):
    """The measured steps that no schedule planned; the last step of the fit is not counted."""
    return [frame.step for frame in report.frames[:-1] if not Schedule(every).due(frame.step)]


def check_named(report, onset=ONSET):
    first = min(step for step in beside(report) if step >= onset)
    assert first <= onset + 5
    [finding] = report.findings
    assert finding.kind == "vanishing"
    assert onset <= finding.first_step <= onset + 20
    confirmed = [frame.step for frame in report.frames if frame.step >= finding.first_step][:3]
    assert confirmed[-1] <= onset + 20


@both_namespaces
def test_an_onset_between_scheduled_steps_is_named_within_20_steps(namespace):
    check_named(run(ONSET + 30, on_step=at(ONSET, fades), namespace=namespace))


@pytest.mark.slow
def test_an_onset_at_step_5000_is_named_within_20_steps():
    check_named(run(5_060, on_step=at(5_003, fades)), 5_003)


def test_under_a_scaler():
    precision = importlib.import_module(f"{NAMESPACES[0]}.plugins.precision")
    plugin = precision.MixedPrecision(
        "16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=50)
    )
    plugin.forward_context = contextlib.nullcontext  # float16 itself would not carry such small gradients
    report = run(ONSET + 30, on_step=at(ONSET, fades), plugins=[plugin])
    assert {frame.loss_scale for frame in report.frames} == {256.0, 512.0, 1024.0, 2048.0}
    check_named(report)


def test_with_accumulated_gradients():
    report = run(
        3 * (ONSET + 30), on_step=lambda m, i: fades(m.net) if i == 3 * ONSET else None, accumulate_grad_batches=3
    )
    check_named(report)
    assert all(frame.micro_batches == 3 for frame in report.frames)


def test_by_hand_in_one_of_two_optimizers():
    check_named(run(ONSET + 30, fitted=pair(sick=1)))


def pair(sick):
    """Two networks side by side, each with its own loss and its own optimizer; one falls ill."""
    fitted = module(NAMESPACES[0], nn.ModuleList([deep(), deep()]))
    fitted.automatic_optimization = False

    def training_step(batch, batch_idx):
        if batch_idx == ONSET:
            fades(fitted.net[sick])
        for net, optimizer in zip(fitted.net, fitted.optimizers(), strict=True):
            optimizer.zero_grad()
            fitted.manual_backward(nn.functional.cross_entropy(net(batch[0]), batch[1]))
            optimizer.step()

    fitted.training_step = training_step
    fitted.configure_optimizers = lambda: [torch.optim.SGD(net.parameters(), lr=0.01) for net in fitted.net]
    return fitted


def test_in_a_loop_of_the_user_s_own():
    net = deep()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with LoopWatch(net, optimizer, every_n_steps=RARELY, strict=True, verbose=False) as watch:
        for i, (x, y) in enumerate(batches(ONSET + 30)):
            if i == ONSET:
                fades(net)
            loss = nn.functional.cross_entropy(net(x), y)
            with watch.step(loss):
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        check_named(watch.report)
    assert not optimizer._optimizer_step_pre_hooks


@pytest.mark.parametrize("every", [50, RARELY])
def test_a_steady_fit_is_measured_as_scheduled(every):
    watch = GradWatch(every_n_steps=every, strict=True, verbose=False)
    report = run(260, watch=watch)
    assert report.findings == ()
    assert beside(report, every) == []


def test_a_noisy_fit_stays_cheap():
    generator = torch.Generator().manual_seed(0)

    fitted = module(NAMESPACES[0], deep(), "SGD", rate=0.0)
    step = fitted.training_step

    def training_step(batch, batch_idx):
        loud = torch.rand(1, generator=generator) < 0.3  # by decades, now and then
        return step(batch, batch_idx) * (1e6 if loud else 1.0)

    fitted.training_step = training_step
    report = run(300, fitted=fitted)
    assert 5 <= len(beside(report)) <= 300 / 10 + 20


def breaks(step):
    """A network whose loss is NaN from that batch on."""

    def act(net):
        with torch.no_grad():
            net[-1].bias.fill_(math.nan)

    return at(step, act)


@pytest.mark.parametrize("step", [ONSET + 1, ONSET + 5])
def test_the_first_step_whose_loss_is_not_finite_is_measured(step):
    report = run(ONSET + 30, on_step=breaks(step))
    frames = {frame.step: frame for frame in report.frames}
    assert math.isnan(frames[step].loss)
    assert frames[step].ledgers
    finding = next(one for one in report.findings if one.kind == "nonfinite")
    assert finding.first_step == step
    assert len([one for one in beside(report) if one >= step]) <= 20  # for the loss, and for the gradients


@pytest.mark.parametrize("kind", ["by hand", "accumulated", "a loop of one's own"])
def test_the_first_step_whose_loss_is_not_finite_however_it_is_trained(kind):
    step = ONSET + 2
    if kind == "a loop of one's own":
        net = deep()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
        with LoopWatch(net, optimizer, every_n_steps=RARELY, strict=True, verbose=False) as watch:
            for i, (x, y) in enumerate(batches(ONSET + 20)):
                loss = nn.functional.cross_entropy(net(x), y) * (math.nan if i == step else 1)
                with watch.step(loss):
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
        report = watch.report
    elif kind == "by hand":
        fitted = pair(sick=0)
        inner = fitted.training_step

        def training_step(batch, batch_idx):
            inner((batch[0] * (math.nan if batch_idx == step else 1), batch[1]), batch_idx)

        fitted.training_step = training_step
        report = run(ONSET + 20, fitted=fitted)
    else:
        on_step = lambda m, i: breaks(0)(m, 0) if i == 2 * step else None  # noqa: E731
        report = run(2 * (ONSET + 20), on_step=on_step, accumulate_grad_batches=2)
    frame = next(frame for frame in report.frames if frame.step == step)
    assert math.isnan(frame.loss)
    assert frame.ledgers
    assert frame.parameters


def test_a_symptom_is_confirmed_on_the_steps_that_follow(monkeypatch):
    monkeypatch.setattr(Wakefulness, "looks_at", lambda self, step: False)
    watch = GradWatch(every_n_steps=50, strict=True, verbose=False)
    report = run(ONSET + 30, watch=watch, on_step=at(ONSET, fades))
    [finding] = [one for one in report.findings if one.kind == "vanishing"]
    assert finding.first_step == 150
    assert beside(report, 50)[:2] == [151, 152]


def test_weights_are_bit_for_bit_the_same():
    def trained(callbacks):
        fitted = module(NAMESPACES[0], deep(), "Adam", on_step=at(60, fades))
        torch.manual_seed(7)
        trainer(NAMESPACES[0], callbacks).fit(fitted, DataLoader(batches(120), batch_size=None))
        return [*fitted.parameters()], torch.get_rng_state()

    watch = GradWatch(every_n_steps=RARELY, strict=True, verbose=False)
    (watched, rng), (plain, plain_rng) = trained([watch]), trained([])
    assert beside(watch.report)
    assert all(torch.equal(a, b) for a, b in zip(watched, plain, strict=True))
    assert torch.equal(rng, plain_rng)
