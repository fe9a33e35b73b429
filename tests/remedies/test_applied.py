"""What is told of a treatment, and the way back."""

import pytest

from lightning_gradwatch.remedies.applied import Applied

MANY = tuple(f"net.{i}: Sigmoid is ReLU now." for i in range(1, 20))


def test_is_true_if_it_changed_something():
    assert Applied("T()", changed=("0",))
    assert not Applied("T()", left=("It has no sigmoid.",))


LINES = {
    "nothing": ((), (), "nothing to change."),
    "one": (("0: Sigmoid is ReLU now.",), (), "0: Sigmoid is ReLU now."),
    "the same of many": (MANY, (), "net.1, net.2, net.3 and 16 more: Sigmoid is ReLU now."),
    "of the network": (("19 are ReLU now.",), ("It is tied.",), "19 are ReLU now. It is tied."),
    "many of many": (
        tuple(f"Sentence {i}." for i in range(9)),
        (),
        "Sentence 0. Sentence 1. Sentence 2. Sentence 3. Sentence 4. ... and 4 more.",
    ),
    "a colon in a sentence": (("Look here: there.",), (), "Look here: there."),
}


@pytest.mark.parametrize(("did", "left", "line"), LINES.values(), ids=LINES)
def test_in_one_line(did, left, line):
    assert Applied("T()", did=did, left=left).line == f"T(): {line}"


def test_in_several_lines():
    assert str(Applied("T()", did=(*MANY, "Done."), left=("It is tied.",))).splitlines() == [
        "T():",
        "  net.1, net.2, net.3 and 16 more: Sigmoid is ReLU now.",
        "  Done.",
        "  It is tied.",
    ]
    assert str(Applied("T()")) == "T(): nothing to change."


def test_is_undone_once():
    calls = []
    applied = Applied("T()", changed=("0",), _back=lambda: calls.append(1))
    assert applied.can_undo
    applied.undo()
    applied.undo()
    assert calls == [1]
    assert not applied.can_undo


def test_is_kept():
    applied = Applied("T()", changed=("0",), _back=lambda: pytest.fail("undone"))
    applied.keep()
    applied.undo()
    assert not applied.can_undo
