"""The runner, on one tiny fit."""

import importlib.util
import json
import sys

import gather
import pytest
import torch
from fitting import counted, digest, fit

from tests.conftest import ROOT

FILE = ROOT / "benchmarks" / "remedies" / "run.py"


@pytest.fixture(scope="module")
def runner():
    """``run`` is the judgement's on the path of the tests."""
    spec = importlib.util.spec_from_file_location("run_remedies", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_fit_is_run_under_every_arm_that_is_asked_for(runner):
    name, rows = runner.work("wine-sigmoid-12-s0", ("nothing", "twin", "watch"))
    assert name == "wine-sigmoid-12-s0"
    assert rows["nothing"]["same again"]
    assert rows["nothing"]["score"] < 0.5
    assert rows["twin"]["score"] > 0.9
    assert rows["watch"]["weights"] == rows["nothing"]["weights"]
    assert [row["steps"] for row in rows.values()] == [150, 150, 150]
    json.dumps(rows)


def test_an_arm_that_breaks_is_a_result(runner, monkeypatch):
    import arms

    def breaks(one):
        raise ValueError("It broke.")

    monkeypatch.setitem(arms.ARMS, "heal", breaks)
    _, rows = runner.work("wine-sigmoid-12-s0", ("heal",))
    assert rows["heal"]["error"].startswith("ValueError: It broke. (test_run.py:")


def test_an_arm_that_is_not_there_yet_is_said_and_left_out(runner, monkeypatch, capsys):
    import arms

    def missing(one):
        raise arms.NotThere("Nobody heals yet.")

    monkeypatch.setitem(arms.ARMS, "heal", missing)
    assert runner.work("wine-sigmoid-12-s0", ("heal",)) == ("wine-sigmoid-12-s0", {})
    assert "Nobody heals yet." in capsys.readouterr().out


def test_new_runs_only_what_is_missing_and_always_beside_nothing(runner, monkeypatch):
    one = gather.case("wine-sigmoid-12-s0")
    monkeypatch.setattr(sys, "argv", ["run.py", "--new"])
    args = runner._arguments()
    known = {one.name: {"arms": {"nothing": {}, "twin": {}, "watch": {}, "heal": {}, "autotrainer": {}}}}
    assert runner._arms(args, one, known) == ("nothing", "random")
    assert runner._arms(args, one, {one.name: {"arms": {arm: {} for arm in runner.SICK}}}) == ()
    assert runner._arms(args, one, {}) == runner.SICK


def test_steps_of_any_optimizer_are_counted():
    layer = torch.nn.Linear(2, 1)
    optimizers = [torch.optim.SGD(layer.parameters(), 0.1), torch.optim.Adam(layer.parameters())]
    with counted() as cost:
        for optimizer in optimizers * 3:
            optimizer.step()
    optimizers[0].step()
    assert cost["steps"] == 6
    assert 0 <= cost["cpu"] < 5


def test_a_digest_sees_a_single_bit():
    layer = torch.nn.Linear(2, 1)
    before = digest(layer)
    assert digest(layer) == before
    with torch.no_grad():
        layer.weight[0, 0] = torch.nextafter(layer.weight[0, 0], torch.tensor(9.0))
    assert digest(layer) != before


@pytest.mark.parametrize("name", ["wine-sigmoid-12-s1", "log-of-zero-at-120-s0"])
def test_the_same_fit_twice_is_the_same_fit(name):
    one = gather.case(name)
    first, second = fit(one), fit(one)
    assert (first["score"], first["weights"]) == (second["score"], second["weights"])
    assert first["steps"] == one.fit.steps
