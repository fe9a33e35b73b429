import pytest

from lightning_gradwatch import WrongArgument, arguments


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (lambda v: arguments.word("a", v, ("x", "y")), ["x", "y"], ["z", None, 1]),
        (lambda v: arguments.whole("a", v, 2), [2, 10**9], [1, 2.0, "2", True, None]),
        (lambda v: arguments.number("a", v, 0.0, 1.0, "from 0 to 1"), [0, 0.5], [1.0, -1, float("nan"), "0", True]),
        (lambda v: arguments.switch("a", v), [True, False], [0, 1, "True", None]),
        (lambda v: arguments.filled("a", v), ["x"], ["", None, 3]),
    ],
    ids=["word", "whole", "number", "switch", "filled"],
)
def test_checks(check, good, bad):
    for value in good:
        check(value)
    for value in bad:
        with pytest.raises(WrongArgument, match=r"^`a` must be .+, got "):
            check(value)
