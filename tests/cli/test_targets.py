"""What a user names, and code of the user's own that runs in our process."""

import sys

import pytest

from lightning_gradwatch.cli._targets import load, place_of, users_code
from lightning_gradwatch.errors import GradWatchError, WrongArgument
from lightning_gradwatch.report import words


def test_names_may_be_deep():
    assert load("TARGET", "os:path.join").__name__ == "join"


@pytest.mark.parametrize("target", ["", ":", "math", "math:", ":pi", "math:.pi", "math:pi.nothing", "no.where:x"])
def test_what_is_no_target_is_a_sentence(target):
    with pytest.raises(WrongArgument, match=r"^`TARGET` must be "):
        load("TARGET", target)


def test_prints_go_to_stderr(capsys):
    with users_code():
        print("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_a_users_error_tells_its_place(tmp_path):
    (tmp_path / "mine_to_break.py").write_text("\n\nraise ValueError('a' * 1000)")
    sentence = r"the check ended: ValueError: aaa+\.\.\. \(mine_to_break.py:3\)$"
    with pytest.raises(GradWatchError, match=sentence), users_code():
        load("TARGET", "mine_to_break:x")
    assert str(tmp_path) not in sys.path


def test_an_error_of_ours_keeps_its_traceback():
    with pytest.raises(TypeError), users_code():
        words.ratio("not a number")


def test_ctrl_c_is_nobodys_sentence():
    with pytest.raises(KeyboardInterrupt), users_code():
        raise KeyboardInterrupt


def test_places(tmp_path):
    file, line = place_of(test_places)
    assert file.startswith("file://")
    assert file.endswith("test_targets.py")
    assert line > 1
    assert place_of(3) is None
    (tmp_path / "near_by.py").write_text("\nclass Net:\n    pass\n\n\nnet = Net()\n")
    with users_code():
        found = load("TARGET", "near_by:Net"), load("TARGET", "near_by:net")
    assert [place_of(one) for one in found] == [("near_by.py", 2), ("near_by.py", 2)]
    del sys.modules["near_by"]
