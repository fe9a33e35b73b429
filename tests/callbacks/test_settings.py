import inspect

import pytest

from lightning_gradwatch import GradWatch, LoopWatch, WrongArgument
from lightning_gradwatch.callbacks.settings import Settings
from lightning_gradwatch.records import Frame


@pytest.mark.parametrize("watch", [GradWatch, LoopWatch])
def test_both_watches_take_all_of_them_with_the_same_defaults(watch):
    signature = inspect.signature(watch).parameters
    settings = dict(inspect.signature(Settings).parameters)
    for name in ("budget", "remedies", "seed") if watch is LoopWatch else ():  # a loop is not healed
        del settings[name]
        assert name not in signature
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


def test_a_report_tells_what_was_silenced_and_the_profile():
    told = Settings(ignore={"GW101": "a gate"}, profile="sagemaker").told()
    assert (told["ignore"], told["profile"]) == ({"GW101": "a gate"}, "sagemaker")


@pytest.mark.parametrize("profile", ["smdebug", "", None, "SageMaker"])
def test_an_unknown_profile_raises_with_the_list(profile):
    with pytest.raises(
        WrongArgument, match=r"`profile` must be one of the words below, got .*'gradwatch', 'sagemaker'"
    ):
        Settings(profile=profile)


@pytest.mark.parametrize("watch", [GradWatch, lambda **more: LoopWatch(None, [], **more)], ids=["Trainer", "loop"])
def test_what_is_unknown_is_told_at_construction(watch):
    with pytest.raises(WrongArgument, match=r"`ignore` must be codes of rules .*'GW101'.*'stalled'"):
        watch(ignore={"GW1": "why"})


def test_rules_of_a_profile_can_be_silenced_by_name_in_that_profile_only():
    ignore = {"LossNotDecreasing": "the loss of a GAN"}
    assert Settings(ignore=ignore, profile="sagemaker").ignoring.wanted
    with pytest.raises(WrongArgument, match="`ignore` must be codes of rules"):
        Settings(ignore=ignore)


def test_a_judge_asks_what_the_profile_asks():
    blank = Frame(step=0, global_step=0, epoch=0, batch=0, loss=float("inf"))
    judges = [Settings(profile=name).judge() for name in ("gradwatch", "sagemaker")]
    assert [[one.finding.id for one in judge.judge(blank)] for judge in judges] == [[], ["sagemaker:ExplodingTensor"]]
