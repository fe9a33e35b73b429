"""Whoever trains answers all that may be asked."""

import inspect

import pytest
import torch

from lightning_gradwatch.callbacks.host import Host
from lightning_gradwatch.callbacks.loop_host import LoopHost
from lightning_gradwatch.callbacks.trainer_host import TrainerHost
from tests.callbacks.fits import NAMESPACES, module, network, trainer

ASKED = sorted(name for name in vars(Host) if not name.startswith("_"))


def hosts():
    net = network()
    yield LoopHost(net, [torch.optim.SGD(net.parameters(), 0.1)])
    yield TrainerHost(trainer(NAMESPACES[0]), module(NAMESPACES[0], net))


@pytest.mark.parametrize("host", list(hosts()), ids=lambda host: type(host).__name__)
def test_has_an_answer_to_every_question_with_the_same_arguments(host):
    for name in ASKED:
        assert name in vars(type(host)) or name in vars(host), name
        asked, answers = vars(Host)[name], vars(type(host)).get(name)
        if inspect.isfunction(asked):
            assert list(inspect.signature(asked).parameters) == list(inspect.signature(answers).parameters), name


def test_a_loop_of_ones_own_is_not_healed():
    loop, _ = hosts()
    assert loop.hindrance == "a loop of your own is not healed"
    assert loop.holds_copy == ""
    assert loop.leads
    assert loop.is_alone
    assert list(loop.fresh_batches()) == []
