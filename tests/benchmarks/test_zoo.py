"""The healthy and mild fits: they build, their names are their own, and they say what they look like."""

import importlib
from pathlib import Path

import pytest
import torch
from fit import Fit

from tests.conftest import ROOT

ZOO = Path(ROOT) / "benchmarks" / "judgement" / "zoo"
FITS = [
    fit
    for file in sorted((*ZOO.glob("healthy_*.py"), *ZOO.glob("mild_*.py")))
    for fit in importlib.import_module(f"zoo.{file.stem}").FITS
]


def test_there_are_enough_of_them_and_no_two_have_one_name():
    names = [fit.name for fit in FITS]
    assert len(set(names)) == len(names)
    count = {health: sum(len(fit.seeds) for fit in FITS if fit.health == health) for health in ("healthy", "mild")}
    assert count["healthy"] >= 85
    assert count["mild"] >= 14
    assert {fit.half for fit in FITS} == {"develop", "judge"}


@pytest.mark.parametrize("fit", FITS, ids=[fit.name for fit in FITS])
def test_it_builds_a_module_that_can_be_scored(fit: Fit):
    setup = fit.build(fit.seeds[0])
    assert fit.why.endswith(".")
    assert next(iter(setup.loader))
    assert setup.module.score() == pytest.approx(setup.module.score(), nan_ok=False)


def test_a_seed_draws_the_same_weights_and_batches_again():
    fit = next(fit for fit in FITS if fit.name == "mlp-relu-2-adam")
    one, same, other = fit.build(1), fit.build(1), fit.build(2)
    assert torch.equal(one.module.network[0].weight, same.module.network[0].weight)
    assert not torch.equal(one.module.network[0].weight, other.module.network[0].weight)
    assert torch.equal(next(iter(one.loader))[0], next(iter(same.loader))[0])
