"""What the environment gives to a Trainer becomes a watch, or goes."""

import copy
import pickle
from types import SimpleNamespace

import pytest

from lightning_gradwatch import GradWatch
from lightning_gradwatch.callbacks.standby import GradWatchFromEnvironment
from tests.callbacks.fits import both_namespaces, module, network, trainer


def kinds(trainer):
    return [type(callback) for callback in trainer.callbacks]


class Neighbour(GradWatchFromEnvironment.__mro__[1]):
    """A callback that remembers its ``setup``."""

    set_up = False

    def setup(self, trainer, pl_module, stage):
        self.set_up = True


def begin(callbacks, stage="fit"):
    """Call every ``setup`` as Lightning does."""
    trainer = SimpleNamespace(callbacks=callbacks)
    for callback in trainer.callbacks:
        callback.setup(trainer, None, stage)
    return trainer


def test_becomes_a_watch_in_its_own_place():
    neighbours = Neighbour(), Neighbour()
    begun = begin([neighbours[0], GradWatchFromEnvironment(), neighbours[1]])
    assert kinds(begun) == [Neighbour, GradWatch, Neighbour]
    assert [neighbour.set_up for neighbour in neighbours] == [True, True]


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "in the middle", "last"])
def test_goes_where_there_is_a_watch(place):
    own = [GradWatch(), Neighbour()]
    callbacks = [*own[:place], GradWatchFromEnvironment(), *own[place:]]
    assert begin(callbacks).callbacks == own
    assert own[1].set_up


def test_two_of_them_become_one_watch():
    assert kinds(begin([GradWatchFromEnvironment(), GradWatchFromEnvironment()])) == [GradWatch]


def test_begins_a_new_report_with_the_fit(monkeypatch):
    asked = []
    monkeypatch.setattr(GradWatch, "setup", lambda self, trainer, pl_module, stage: asked.append(stage))
    begin([GradWatchFromEnvironment()])
    assert asked == ["fit"]


@pytest.mark.parametrize("stage", ["validate", "test", "predict"])
def test_waits_for_a_fit(stage):
    assert kinds(begin([GradWatchFromEnvironment()], stage)) == [GradWatchFromEnvironment]


@both_namespaces
def test_copies_leave_the_module_behind(namespace):
    waiting = GradWatchFromEnvironment()
    waiting.log = module(namespace, network()).log  # what Lightning does to every callback
    assert vars(copy.deepcopy(waiting)) == vars(pickle.loads(pickle.dumps(waiting))) == {}


@both_namespaces
def test_two_of_them_are_no_clash_of_states(namespace):
    assert kinds(trainer(namespace, [GradWatchFromEnvironment(), GradWatchFromEnvironment(), GradWatch()]))
