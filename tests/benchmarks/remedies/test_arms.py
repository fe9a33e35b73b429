"""The arms that search: on one small fit each."""

import gather
import pytest
import torch
from autotrainer_arm import SOLUTIONS, Rates, repair
from fitting import fit
from oracle_arm import combinations
from random_search import BUDGET, search
from torch.optim.lr_scheduler import StepLR

from lightning_gradwatch.remedies import remedies
from lightning_gradwatch.remedies.treatment import Treatment

SICK = "mlp-relu-bias-minus-5-s0"


def test_random_search_keeps_its_budget_tells_what_it_tried_and_is_the_same_for_the_same_seed():
    one = gather.case(SICK)
    row = search(one)
    tried = row["did"][0]
    assert ": tried " in tried
    assert int(tried.split(":")[0]) < 20  # the watch rings early
    assert one.fit.steps < row["steps"] <= (1 + BUDGET) * one.fit.steps
    assert search(one)["did"] == row["did"]


def test_autotrainer_begins_anew_with_each_solution_and_counts_all_steps():
    one = gather.case(SICK)
    row = repair(one)
    assert row["steps"] > one.fit.steps
    problems = [told.split(" at ")[0] for told in row["did"]]
    assert {*problems} <= {*SOLUTIONS} | {f"{name}: its list is through" for name in SOLUTIONS}


def test_every_solution_can_be_made():
    for solutions in SOLUTIONS.values():
        for make in solutions:
            assert all(isinstance(one, Treatment | Rates) for one in make())


@pytest.mark.parametrize("scheduler", [None, lambda optimizer: StepLR(optimizer, 1000)])
def test_rates_are_multiplied_and_stay_so_under_a_schedule(scheduler):
    seen = []

    class Look(Rates):
        def on_train_end(self, trainer, pl_module):
            seen.extend(group["lr"] for group in trainer.optimizers[0].param_groups)

    def spoil(setup):
        setup.module.make = lambda parameters: torch.optim.SGD(parameters, 0.01)
        setup.module.scheduler = scheduler

    fit(gather.case("wine-sigmoid-12-s0"), [Look(10.0)], spoil=spoil)
    assert seen == [pytest.approx(0.1)]


def test_the_oracle_tries_every_treatment_alone_and_no_combination_twice():
    tried = [" + ".join(sorted(type(one).__name__ for one in several)) for several in combinations()]
    assert len(set(tried)) == len(tried)
    assert {type(one).__name__ for one in remedies() if isinstance(one, Treatment)} <= {*tried}
    assert "Initialize + SwitchOptimizer" in tried
