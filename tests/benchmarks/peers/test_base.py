import copy

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import StochasticWeightAveraging
from peers import autotrainer, deepdiagnosis, sagemaker, thedeepchecker, torchmortem
from peers.base import Observed, Peer
from torch import nn

from tests.benchmarks.peers.fitting import fit, network


def every_peer():
    return [
        autotrainer.AutoTrainer(),
        autotrainer.AutoTrainerUngated(),
        sagemaker.SageMakerAll(),
        deepdiagnosis.DeepDiagnosis(),
        thedeepchecker.TheDeepCheckerAll(),
        torchmortem.TorchMortemAll(),
    ]


class Diary(Peer):
    """Keeps what it saw."""

    name = "diary"

    def __init__(self):
        super().__init__()
        self.days = []

    def judge(self, seen: Observed):
        self.days.append(seen)
        return ["early"] if seen.step == 3 else ["late", "early"] if seen.step == 5 else []

    def names_cause(self, word, seen):
        return f"{word} at {seen.step}"


def test_a_word_is_kept_once_and_the_cause_is_that_of_the_first_alarm():
    diary = Diary()
    fit(network(), [diary], steps=8)
    assert diary.alarms == [(3, "early"), (5, "late")]
    assert diary.cause == "early at 3"


def test_what_it_sees_is_what_the_optimizer_does():
    diary = Diary()
    module = fit(network(), [diary], steps=4, rate=0.1)
    assert [seen.step for seen in diary.days] == [0, 1, 2, 3]
    last = diary.days[-1]
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(last.updates[name], -0.1 * last.gradients[name])
        torch.testing.assert_close(last.weights[name] + last.updates[name], parameter.detach())
    name = "network.0.weight"
    assert last.norms("gradients")[name] == pytest.approx(last.gradients[name].norm().item(), rel=1e-5)
    assert last.means("updates")[name] == pytest.approx(0.1 * last.gradients[name].abs().mean().item(), rel=1e-5)
    assert last.rate == pytest.approx(0.1)
    assert last.accuracy == module.last_accuracy
    assert last.is_finite()


def test_accumulated_batches_are_one_step_with_the_loss_of_the_last():
    plain, accumulated = Diary(), Diary()
    fit(network(), [plain], steps=1)
    fit(network(), [accumulated], steps=2, accumulate_grad_batches=2)
    assert [seen.step for seen in accumulated.days] == [0, 1]
    assert accumulated.days[0].loss == pytest.approx(1.1, abs=0.5)  # not halved by the accumulation
    assert plain.days[0].loss == pytest.approx(1.1, abs=0.5)


def test_outputs_of_leaf_modules_and_the_gradients_at_them():
    diary = Diary()
    fit(network(1), [diary], steps=1)
    seen = diary.days[0]
    assert list(seen.left) == ["network.0", "network.1", "network.2"]
    out = seen.left["network.1"][1]
    assert (out >= 0).all()
    assert seen.deltas["network.2"] > 0
    # The head's bias has the sum of the gradients at its output.
    assert seen.gradients["network.2.bias"].norm().item() <= seen.deltas["network.2"] * 8**0.5


@pytest.mark.parametrize("inplace", [False, True], ids=["plain", "in-place"])
def test_the_peers_change_no_weight(inplace):
    def trained(callbacks):
        return fit(network(3, lambda: nn.ReLU(inplace)), callbacks, steps=20).state_dict()

    watched, alone = trained(every_peer()), trained([])
    assert all(torch.equal(watched[name], alone[name]) for name in alone)


def test_no_hook_stays_behind_not_even_after_an_error():
    class Stops(Peer):
        name = "stops"

        def judge(self, seen):
            raise RuntimeError("enough")

    module = network()
    with pytest.raises(RuntimeError, match="enough"):
        fit(module, [Stops()], steps=4)
    assert not any(part._forward_hooks for part in module.modules())
    fit(module, every_peer(), steps=2)
    assert not any(part._forward_hooks for part in module.modules())


def test_peers_of_one_fit_share_one_pair_of_eyes():
    one, other = Diary(), Diary()
    fit(network(), [one, other], steps=2)
    assert all(a is b for a, b in zip(one.days, other.days, strict=True))


def test_an_average_of_the_weights_is_no_second_network():
    diary = Diary()
    fit(network(), [diary, StochasticWeightAveraging(0.01, swa_epoch_start=1)], steps=24)
    assert len(diary.days) == 24
    eyes_free = copy.deepcopy(network())
    assert not any(part._forward_hooks for part in eyes_free.modules())


class ByHand(LightningModule):
    """Two optimizers that take turns."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.body, self.head, self.turn = nn.Linear(16, 16), nn.Linear(16, 3), 0

    def training_step(self, batch, batch_index):
        loss = nn.functional.cross_entropy(self.head(self.body(batch[0])), batch[1])
        optimizer = self.optimizers()[self.turn % 2]
        self.turn += 1
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), 0.1) for part in (self.body, self.head)]


def test_only_the_optimizer_at_hand_is_seen():
    diary = Diary()
    fit(ByHand(), [diary], steps=4)
    assert [next(iter(seen.gradients)) for seen in diary.days] == ["body.weight", "head.weight"] * 2
    assert all(len(seen.gradients) == 2 for seen in diary.days)
