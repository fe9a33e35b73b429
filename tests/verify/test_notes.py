"""What a checkup says beside its findings; that it says it is tested with the checkup."""

from lightning_gradwatch.verify import notes


def test_few_names_stand_for_many():
    assert notes.kept(("a", "b"), 5).endswith("gives: a, b")
    assert notes.kept(tuple("abcdef"), 7).endswith("gives: a, b, c, ...")
