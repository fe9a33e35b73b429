from lightning_gradwatch.records import Accepted, Severity
from lightning_gradwatch.records.codec import decode, encode


def test_there_and_back():
    recorded = Accepted(
        name="Net", flow={"loss": {"a": 0.0, "b": -float("inf")}}, findings={"vanishing:loss": Severity.CRITICAL}
    )
    assert decode(Accepted, encode(recorded)) == recorded
    assert decode(Accepted, {}) == Accepted()
