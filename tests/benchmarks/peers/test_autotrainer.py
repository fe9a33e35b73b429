import pytest
import torch
from peers import autotrainer
from peers.base import Observed
from torch import nn

from tests.benchmarks.peers.fitting import fit, network


@pytest.mark.parametrize(
    ("first", "last", "rings"),
    [(0.9e-5, 1e-2, True), (1.1e-5, 1e-2, False), (2e-4, 1.0, False), (0.0, 0.0, False)],
    ids=["ratio 9e-4", "ratio 1.1e-3", "norm above 1e-4", "nothing anywhere"],
)
def test_vanishing_needs_the_ratio_and_the_norm(first, last, rings):
    assert autotrainer.vanishing(first, last) is rings


def test_exploding_above_a_ratio_of_70():
    assert autotrainer.exploding(71.0, 1.0)
    assert not autotrainer.exploding(69.0, 1.0)


def test_dying_counts_zeros_over_all_gradients_together():
    full, empty = torch.ones(30), torch.zeros(70)
    assert autotrainer.dying([full, empty])
    assert not autotrainer.dying([full, empty[:69]])


def test_unstable_counts_falls_of_three_points_from_high_to_low():
    swings = [0.5, 0.6, 0.5, 0.6, 0.5, 0.6]  # two falls of 0.1 that end in a low
    assert autotrainer.unstable(swings, epochs=10)
    assert not autotrainer.unstable(swings, epochs=11)
    assert not autotrainer.unstable([0.5, 0.6, 0.58, 0.6], epochs=1)  # 0.02
    assert not autotrainer.unstable([], epochs=1)


def judged(peer, *, gradients, accuracies=(), epoch=3, epochs=6):
    """What it says at the first batch of an epoch."""
    peer.epoch_length, peer.epochs = 10, epochs
    peer.by_epoch.extend(accuracies)
    seen = Observed(10 * epoch, gradients=gradients, weights={n: torch.ones_like(g) for n, g in gradients.items()})
    return peer.judge(seen)


VANISHED = {"a": torch.full((2, 2), 1e-8), "b": torch.ones(2, 2)}


def test_the_gate_lets_only_a_fit_through_that_has_not_converged():
    assert judged(autotrainer.AutoTrainer(), gradients=VANISHED, accuracies=[0.3, 0.4]) == ["vanishing"]
    assert judged(autotrainer.AutoTrainer(), gradients=VANISHED, accuracies=[0.6, 0.9]) == []
    assert judged(autotrainer.AutoTrainer(), gradients=VANISHED, accuracies=[0.3], epochs=20) == []  # below 30 %
    assert judged(autotrainer.AutoTrainerUngated(), gradients=VANISHED, accuracies=[0.6, 0.9]) == ["vanishing"]


def test_it_is_asked_on_the_first_batch_of_every_third_epoch():
    assert judged(autotrainer.AutoTrainerUngated(), gradients=VANISHED, epoch=2) == []
    assert judged(autotrainer.AutoTrainerUngated(), gradients=VANISHED, epoch=3) == ["vanishing"]


def test_slow_needs_low_accuracy_and_no_gain():
    fine = {"a": torch.ones(2, 2), "b": torch.ones(2, 2)}
    assert judged(autotrainer.AutoTrainer(), gradients=fine, accuracies=[0.3, 0.305]) == ["stalled"]
    assert judged(autotrainer.AutoTrainer(), gradients=fine, accuracies=[0.3, 0.35]) == []


def test_without_accuracy_the_gate_looks_at_the_loss():
    for losses, expected in (([1.0, 0.995], ["vanishing"]), ([1.0, 0.9], [])):
        peer = autotrainer.AutoTrainer()
        peer.loss_by_epoch.extend(losses)
        assert judged(peer, gradients=VANISHED) == expected


def test_in_a_fit_its_advice_for_a_vanished_gradient_is_another_activation():
    peer = autotrainer.AutoTrainerUngated()
    fit(network(14, nn.Sigmoid), [peer], steps=3)
    assert (peer.alarms[0], peer.cause) == ((0, "vanishing"), "activation")
