import pytest

from lightning_gradwatch.records.threshold import Threshold, table


def test_a_table_holds_every_number_and_escapes_what_would_break_it():
    text = table([Threshold(name="a", value=1e-7, unit="||g||", why="b |\n  c")])
    assert text.splitlines()[2:] == [r"| a | 1e-07 | \|\|g\|\| | b \| c |"]


def test_none_is_no_table():
    assert table([]) == ""


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError):
        Threshold(name="a", value=1.0, unit="b", why="c").value = 2.0
