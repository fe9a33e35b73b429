import pytest

from lightning_gradwatch import WrongArgument
from lightning_gradwatch.callbacks.policy import Policy
from lightning_gradwatch.records import Event, Kind, Severity
from tests.reference.records import FINDING


def finding(**changes):
    return type(FINDING)(**{**vars(FINDING), **changes})


def event(step, action="decay_lr"):
    return Event(step=step, action=action, finding="vanishing:loss", reason="")


DECAY = Policy("decay_lr", cooldown_steps=100, max_decays=2)


@pytest.mark.parametrize(
    ("policy", "step", "findings", "events", "acts"),
    [
        (DECAY, 3, [FINDING], [], True),
        (DECAY, 3, [], [], False),
        (DECAY, 3, [finding(resolved=True)], [], False),
        (DECAY, 3, [finding(severity=Severity.INFO)], [], False),
        (DECAY, 3, [finding(kind=Kind.NONFINITE)], [], False),
        (DECAY, 99, [FINDING], [event(0)], False),
        (DECAY, 100, [FINDING], [event(0)], True),
        (DECAY, 500, [FINDING], [event(0), event(100)], False),
        (Policy("stop"), 3, [FINDING], [], True),
        (Policy("stop"), 4, [FINDING], [event(3, "stop")], False),
        (Policy("warn"), 3, [FINDING], [], False),
        (Policy("ignore"), 3, [FINDING], [], False),
    ],
    ids=[
        "acts",
        "nothing found",
        "resolved",
        "only an information",
        "another kind",
        "cooling down",
        "cooled down",
        "often enough",
        "stop",
        "stopped already",
        "warn",
        "ignore",
    ],
)
def test_action(policy, step, findings, events, acts):
    assert (policy.action(step, findings, events) is not None) is acts
    assert policy.acts is (policy.on_vanishing in ("decay_lr", "stop", "heal"))


@pytest.mark.parametrize("factor", [0, 1, 2.0, float("nan"), "half", True])
def test_wrong_factor(factor):
    with pytest.raises(WrongArgument, match="`decay_factor` must be a number above 0 and below 1"):
        Policy(decay_factor=factor)


def test_wrong_word_lists_the_words():
    with pytest.raises(WrongArgument, match="Available: 'warn', 'decay_lr', 'stop', 'ignore', 'heal'"):
        Policy("cure")
