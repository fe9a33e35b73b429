"""What a checkup says beside its findings; that it says it is tested with the checkup."""

from lightning_gradwatch.verify import notes


def test_few_names_stand_for_many():
    assert notes.kept(("a", "b"), 5).endswith("gives: a, b")
    assert notes.kept(tuple("abcdef"), 7).endswith("gives: a, b, c, ...")


def test_what_could_not_be_tried_says_of_what_and_why():
    assert notes.not_shown("vanishing:loss").startswith("no cause of vanishing:loss could be tried")
    assert notes.trial_broke("GW101", "ValueError: no").endswith("cannot do without that factor: ValueError: no")
