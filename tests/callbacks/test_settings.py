import inspect

import pytest

from lightning_gradwatch import GradWatch, LoopWatch, WrongArgument
from lightning_gradwatch.callbacks.settings import Settings


@pytest.mark.parametrize("watch", [GradWatch, LoopWatch])
def test_both_watches_take_all_of_them_with_the_same_defaults(watch):
    signature = inspect.signature(watch).parameters
    settings = dict(inspect.signature(Settings).parameters)
    assert settings.keys() <= signature.keys()
    assert {name: signature[name].default for name in settings} == {name: p.default for name, p in settings.items()}


def test_they_reach_the_watch():
    watch = GradWatch(7, on_vanishing="stop", name="mine", record_to="run.jsonl")
    assert watch.settings == Settings(every_n_steps=7, on_vanishing="stop", name="mine", record_to="run.jsonl")


def test_what_a_report_tells_of_them():
    assert Settings(decay_factor=0.1).told() == {
        "every_n_steps": 100,
        "on_vanishing": "warn",
        "decay_factor": 0.1,
        "min_lr": 1e-7,
        "cooldown_steps": 200,
        "max_decays": 3,
    }


def test_a_wrong_one():
    with pytest.raises(WrongArgument, match="`max_decays` must be a whole number of at least 1, got 0"):
        Settings(max_decays=0)
