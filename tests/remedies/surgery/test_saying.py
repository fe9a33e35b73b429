"""Names in sentences."""

from lightning_gradwatch.remedies.surgery.saying import listed


def test_few_are_named_and_many_counted():
    assert listed([]) == ""
    assert listed(["0"]) == "0"
    assert listed("abcdef") == "a, b, c, d, e, f"
    assert listed(str(i) for i in range(20)) == "0, 1, 2, 3, 4, 5 and 14 more"
