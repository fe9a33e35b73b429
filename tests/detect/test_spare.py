import pytest

from lightning_gradwatch.detect import Judge
from lightning_gradwatch.detect.spare import is_spare
from tests.reference.records import chain, frame, reading


def experts(silent="experts.2.up.weight", size=4, fed=("experts.0.up.weight", "experts.1.up.weight")):
    return frame(0, parameters=(reading(silent, None, size=size), *(reading(name) for name in fed)))


def silent(one):
    return one.parameters[0]


def test_an_expert_that_waits():
    assert is_spare(silent(experts()), experts())


@pytest.mark.parametrize(
    "told",
    [{"size": 5}, {"fed": ("other.0.up.weight",)}, {"fed": ("experts.0.down.weight",)}, {"silent": "encoder.weight"}],
    ids=["of another size", "another place", "another layer", "no number"],
)
def test_no_twin(told):
    assert not is_spare(silent(experts(**told)), experts(**told))


def test_layers_of_a_chain_are_no_twins():
    """net.0 was cut off from net.1 and net.2, which stand in line."""
    cut = frame(0, chain(0.0, 0.0, 0.0), parameters=(reading("net.0.weight", None), reading("net.1.weight")))
    assert not is_spare(silent(cut), cut)


def test_no_alarm_about_most_of_a_network_that_waits():
    judge = Judge()
    for step in range(9):
        waiting = tuple(reading(f"experts.{i}.up.weight", None, size=100) for i in range(1, 9))
        judge.judge(frame(step, parameters=(*waiting, reading("experts.0.up.weight", size=100)), rates=(0.1,)))
    assert [one.severity for one in judge.findings if one.kind == "disconnected"] == ["info"]
