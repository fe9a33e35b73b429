"""FSDP1, DeepSpeed, XLA and strategies that nobody knows: the true number, or a sentence."""

import pytest
import torch
from lightning.pytorch.plugins import Precision
from lightning.pytorch.strategies import SingleDeviceStrategy

from lightning_gradwatch import GradWatch
from lightning_gradwatch.callbacks import notes
from tests.callbacks.fits import NAMESPACES, data, module, network, trainer
from tests.fits.ranks import run
from tests.fits.ranks.comparing import UNKNOWN_IN_SLICES, differences

LIGHTNING = NAMESPACES[0]


class Engine:
    """Does with gradients what DeepSpeed's ZeRO does: takes them away as soon as they are there."""

    def __init__(self, net):
        self.net, self.optimizer, self._kept, self._norm = net, None, {}, None

    def __call__(self, *args, **kwargs):
        return self.net(*args, **kwargs)

    def backward(self, loss):
        loss.backward()
        for parameter in self.net.parameters():
            self._kept[parameter], parameter.grad = parameter.grad, None

    def step(self):
        for parameter, gradient in self._kept.items():
            parameter.grad = gradient
        self._norm = torch.nn.utils.get_total_norm(self._kept.values())
        self.optimizer.step()
        self.optimizer.zero_grad()

    def modules(self):
        return self.net.modules()


class TellingEngine(Engine):
    def get_global_grad_norm(self):
        return self._norm


class EnginePrecision(Precision):
    """The order of DeepSpeedPrecision: closure, hooks, the engine's step."""

    def backward(self, tensor, model, optimizer, *args, **kwargs):
        model.trainer.strategy.model.backward(tensor)

    def optimizer_step(self, optimizer, model, closure, **kwargs):
        result = closure()
        self._after_closure(model, optimizer)
        model.trainer.strategy.model.step()
        return result


class EngineStrategy(SingleDeviceStrategy):
    def __init__(self, engine):
        super().__init__("cpu", precision_plugin=EnginePrecision())
        self._engine = engine

    def setup(self, trainer):
        super().setup(trainer)
        self.model = self._engine(self.lightning_module)
        self.model.optimizer = self.optimizers[0]


class MuteStrategy(SingleDeviceStrategy):
    """Like XLA's: there are other processes, but no group of torch.distributed."""

    def __init__(self):
        super().__init__("cpu")
        self.world_size, self.asked = 2, 0

    def reduce_boolean_decision(self, decision, all=True):
        self.asked += 1
        return decision


def fit(strategy=None, **settings):
    watch = GradWatch(every_n_steps=1, verbose=False, strict=True, **settings)
    options = {} if strategy is None else {"strategy": strategy, "use_distributed_sampler": False}
    trainer(LIGHTNING, [watch], **options).fit(module(LIGHTNING, network()), data())
    return watch.report


@pytest.mark.parametrize(
    ("engine", "knows"),
    [
        pytest.param(TellingEngine, True, id="DeepSpeed-like engine: the global norm"),
        pytest.param(Engine, False, id="unknown engine: a sentence"),
    ],
)
def test_gradients_that_an_engine_keeps(engine, knows):
    told, plain = fit(EngineStrategy(engine)), fit()
    assert told.notes == (notes.kept_elsewhere(knows),)
    for frame, twin in zip(told.frames, plain.frames, strict=True):
        assert frame.parameters == ()
        [reading] = frame.optimizers
        assert reading.norm == (pytest.approx(twin.norm, rel=1e-5) if knows else None)
        assert frame.ledgers == twin.ledgers
    # Nothing is called disconnected that merely is not seen; the ledger is judged where weights are known to move.
    kinds = [finding.kind for finding in plain.findings]
    assert kinds == ["vanishing"]
    assert [finding.kind for finding in told.findings] == (kinds if knows else [])


def test_processes_that_cannot_talk_say_so_and_still_act_together():
    strategy = MuteStrategy()
    told = fit(strategy, on_vanishing="decay_lr")
    assert told.notes == (notes.MUTE,)
    assert strategy.asked == len(told.frames)
    assert told.events


@pytest.fixture(scope="module")
def fsdp1(tmp_path_factory):
    several, alone = run.told(tmp_path_factory.mktemp("fsdp1"), ["FSDP1"])
    return several["FSDP1"], alone["FSDP1"]


def test_fsdp1_true_gradients_and_a_sentence_for_the_ledger(fsdp1):
    ranks, alone = fsdp1
    assert not differences(ranks[0]["frames"], ranks[1]["frames"])
    for told in ranks:
        assert told["notes"] == [notes.FLAT]
        assert told["findings"] == []
        assert told["talk"] == [{"allreduce_": 1}] * 6
        for frame, twin in zip(told["frames"], alone["frames"], strict=True):
            for part in ("parameters", "optimizers", "loss"):
                assert not differences(frame[part], twin[part], rel=1e-4, leave_out=UNKNOWN_IN_SLICES)
            assert frame["ledgers"] == []
        assert not differences(told["layers"], alone["layers"], leave_out=("weight_std", "fan_in", "fan_out"))
