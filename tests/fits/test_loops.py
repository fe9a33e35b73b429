"""Lightning Fabric and a plain PyTorch loop."""

import copy
import importlib
import weakref

import pytest
import torch
from torch import nn

from lightning_gradwatch import GradWatch, LoopWatch, WrongArgument
from lightning_gradwatch.sinks import read_recording
from tests.callbacks.fits import NAMESPACES, data, module, network, trainer
from tests.reference import twins


def loss_of(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


def plain_loop(model, optimizer, watch=None, *, epochs=1, scaler=None, accumulate=1, clip=None):
    """A loop as people write it; with ``watch=None`` the very same without a watch."""
    losses = []
    for i, batch in enumerate([*data()] * epochs):
        loss = loss_of(model, batch)
        losses.append(loss.item())
        scaled = loss / accumulate if scaler is None else scaler.scale(loss / accumulate)

        def batch_step(scaled=scaled, i=i):
            scaled.backward()
            if (i + 1) % accumulate:
                return
            if clip is not None:
                if scaler is not None:
                    scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
                scaler.update()
            optimizer.zero_grad()

        if watch is None:
            batch_step()
        else:
            with watch.step(loss):
                batch_step()
    return losses


def pair(sick=False, **options):
    model = network(sick)
    return model, torch.optim.SGD(model.parameters(), options.pop("lr", 0.01), **options)


LOOPS = {
    "plain": {},
    "accumulating by hand": {"accumulate": 4},
    "clipping by hand": {"clip": 0.1},
    "GradScaler": {"scaler": lambda: torch.amp.GradScaler("cpu", init_scale=128.0)},
    "GradScaler that overflows first": {"scaler": lambda: torch.amp.GradScaler("cpu", init_scale=2.0**127)},
    "GradScaler, clipping by hand": {
        "scaler": lambda: torch.amp.GradScaler("cpu", init_scale=128.0),
        "clip": 0.1,
    },
}


@pytest.mark.parametrize("options", LOOPS.values(), ids=LOOPS.keys())
def test_the_same_weights_with_and_without(options):
    def run(watched):
        model, optimizer = pair()
        scaler = options["scaler"]() if "scaler" in options else None
        watch = LoopWatch(model, optimizer, scaler=scaler, every_n_steps=1, strict=True) if watched else None
        given = {**options, "scaler": scaler}
        losses = plain_loop(model, optimizer, watch, epochs=2, **given)
        if watch is not None:
            watch.close()
            assert watch.report.frames
            assert watch.report.findings == ()
        assert not optimizer._optimizer_step_pre_hooks
        assert not optimizer._optimizer_step_post_hooks
        return losses, list(model.parameters())

    (plain, weights), (watched, same) = run(False), run(True)
    assert plain == watched
    assert all(torch.equal(a, b) for a, b in zip(weights, same, strict=True))


def test_numbers_are_those_of_a_trainer_s_fit():
    watch = GradWatch(every_n_steps=1, strict=True)
    trainer(NAMESPACES[0], [watch]).fit(module(NAMESPACES[0], network(True), "SGD", rate=0.01), data())
    model, optimizer = pair(sick=True)
    with LoopWatch(model, optimizer, every_n_steps=1, strict=True) as loop:
        plain_loop(model, optimizer, loop)
    strip = lambda name: name.removeprefix("net.")  # noqa: E731
    for ours, theirs in zip(loop.report.frames, watch.report.frames, strict=True):
        assert (ours.step, ours.loss) == (theirs.step, pytest.approx(theirs.loss, rel=1e-6))
        assert ours.ledgers[0].decades == pytest.approx(theirs.ledgers[0].decades, abs=1e-5)
        readings = {strip(reading.name): reading.norm for reading in theirs.parameters}
        assert {reading.name: pytest.approx(reading.norm, rel=1e-5) for reading in ours.parameters} == readings
    [finding], [same] = loop.report.findings, watch.report.findings
    assert (finding.kind, finding.severity, finding.first_step) == (same.kind, same.severity, same.first_step)
    assert [cause.kind for cause in finding.causes] == [cause.kind for cause in same.causes]


def test_clipping_is_measured_before_and_after():
    model, optimizer = pair()
    true = []
    with LoopWatch(model, optimizer, every_n_steps=1, strict=True) as watch:
        for batch in data():
            loss = loss_of(model, batch)
            with watch.step(loss):
                loss.backward()
                true.append(twins.l2(torch.cat([p.grad.flatten() for p in model.parameters()])))
                nn.utils.clip_grad_norm_(model.parameters(), 0.1)
                optimizer.step()
                optimizer.zero_grad()
    assert [frame.norm for frame in watch.report.frames] == pytest.approx(true, rel=1e-5)
    assert [frame.optimizers[0].used for frame in watch.report.frames] == pytest.approx([0.1] * 8, rel=1e-4)


def test_accumulation_by_hand_is_measured_once_a_real_step():
    model, optimizer = pair()
    with LoopWatch(model, optimizer, every_n_steps=5, strict=True) as watch:
        plain_loop(model, optimizer, watch, epochs=4, accumulate=4)
    steps = [frame.step for frame in watch.report.frames]
    assert steps == [3, 7, 11, 15, 23, 27, 31]  # 10, 20, 25 and 30 are due: the window that they stand in is measured


def test_gan_loop_with_two_losses():
    first, second = nn.Linear(4, 4), nn.Linear(4, 1)
    optimizers = [torch.optim.Adam(net.parameters(), 1e-3) for net in (first, second)]
    both = nn.ModuleDict({"generator": first, "critic": second})
    with LoopWatch(both, optimizers, every_n_steps=1, strict=True) as watch:
        for _ in range(3):
            x = torch.randn(8, 4)
            loss = second(first(x)).mean()
            with watch.step(loss):
                loss.backward()
                optimizers[0].step()
                optimizers[1].zero_grad()
                other = second(x).square().mean()
                watch.backward(other)
                other.backward()
                optimizers[1].step()
                optimizers[0].zero_grad()
    for frame in watch.report.frames:
        assert [ledger.name for ledger in frame.ledgers] == ["loss", "loss[1]"]
        assert [reading.name for reading in frame.optimizers] == ["generator", "critic"]


def test_decay_and_stop():
    model, optimizer = pair(sick=True)
    with LoopWatch(model, optimizer, on_vanishing="decay_lr", decay_factor=0.1, strict=True) as watch:
        plain_loop(model, optimizer, watch)
    assert watch.report.events[0].new == pytest.approx((0.001,))
    assert optimizer.param_groups[0]["lr"] == 0.01  # the loop is over: clean again
    with LoopWatch(model, optimizer, on_vanishing="stop", strict=True) as watch:
        plain_loop(model, optimizer, watch)
    assert watch.should_stop


def test_state_goes_on():
    def run(stop=None, state=None):
        model, optimizer = pair(sick=True)
        watch = LoopWatch(model, optimizer, on_vanishing="decay_lr", cooldown_steps=3, strict=True)
        if state is not None:
            watch.load_state_dict(torch.load("watch.pt", weights_only=True))
            model.load_state_dict(state)
        batches = [*data()] * 2
        for batch in batches[stop or 0 if state else 0 : stop if not state else None]:
            loss = loss_of(model, batch)
            with watch.step(loss):
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
        torch.save(watch.state_dict(), "watch.pt")
        watch.close()
        return watch.report, copy.deepcopy(model.state_dict())

    straight, _ = run()
    _, weights = run(stop=5)
    resumed, _ = run(stop=5, state=weights)
    assert resumed.findings == straight.findings
    assert resumed.events == straight.events
    assert [frame.step for frame in resumed.frames] == [frame.step for frame in straight.frames]


def test_writers_and_recordings(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    model, optimizer = pair(sick=True)
    writer = SummaryWriter(tmp_path / "events")
    with LoopWatch(model, optimizer, loggers=[writer], record_to=str(tmp_path / "run.jsonl")) as watch:
        plain_loop(model, optimizer, watch)
    writer.close()
    assert read_recording(tmp_path / "run.jsonl").findings == watch.report.findings
    assert read_recording(tmp_path / "events").findings == watch.report.findings


def test_an_exception_leaves_nothing_behind_and_the_loop_may_go_on():
    model, optimizer = pair()
    watch = LoopWatch(model, optimizer, every_n_steps=1, strict=True)
    batches = [*data()]
    loss = loss_of(model, batches[0])
    with pytest.raises(MemoryError), watch.step(loss):
        raise MemoryError
    assert not optimizer._optimizer_step_post_hooks
    dead = weakref.ref(loss)
    del loss
    plain_loop(model, optimizer, watch)
    watch.close()
    assert [frame.step for frame in watch.report.frames] == list(range(8))
    assert dead() is None


def test_a_loss_without_a_graph():
    model, optimizer = pair()
    with LoopWatch(model, optimizer, strict=True) as watch, watch.step(torch.tensor(1.0)):
        optimizer.step()
    assert watch.report.findings == ()


def test_a_wrong_optimizer_is_told():
    with pytest.raises(WrongArgument, match="`optimizers` must be torch optimizers, which have step hooks, got 'str'"):
        LoopWatch(network(), "adam")
    with pytest.raises(WrongArgument, match="`every_n_steps` must be a whole number"):
        LoopWatch(*pair(), every_n_steps=0)


@pytest.mark.parametrize("name", ["lightning.fabric", "lightning_fabric"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "64-true", "16-mixed with a scaler"])
def test_fabric(name, precision, tmp_path):
    fabric_module = importlib.import_module(name)
    options = {"precision": precision}
    if "scaler" in precision:
        plugins = importlib.import_module(f"{name}.plugins")
        scaler = torch.amp.GradScaler("cpu", init_scale=128.0)
        options = {"plugins": [plugins.MixedPrecision("16-mixed", "cpu", scaler)]}
    logger = importlib.import_module(f"{name}.loggers").CSVLogger(tmp_path)
    fabric = fabric_module.Fabric(accelerator="cpu", devices=1, loggers=logger, **options)
    model, optimizer = fabric.setup(*pair(sick=True))
    dtype = torch.float64 if precision == "64-true" else torch.float32
    with LoopWatch(model, optimizer, fabric=fabric, every_n_steps=1, strict=True) as watch:
        for x, y in data():
            loss = nn.functional.cross_entropy(model(x.to(dtype)), y)
            with watch.step(loss):
                fabric.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
    logger.save()
    [finding] = watch.report.findings
    assert (finding.kind, finding.layers[0]) == ("vanishing", "0")
    assert all(frame.ledgers[0].start == pytest.approx(0.0, abs=1e-2) for frame in watch.report.frames)
    assert "gradwatch/decades_lost" in (tmp_path / "lightning_logs" / "version_0" / "metrics.csv").read_text()
