"""The moments of a fit, as words that survive JSON."""

from lightning_gradwatch.remedies.moments import Moment


def test_in_the_order_of_a_fit():
    assert [moment.value for moment in Moment] == ["setup", "fit", "data"]
    assert Moment("data") is Moment.DATA
