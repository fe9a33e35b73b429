"""Every sick fit has a twin, and twins are what they say."""

import gather
import pytest
import torch
from fitting import fit, score
from twin import Twin, twins

SICK = sorted({one.fit.name for one in gather.cases() if one.fit.health == "sick"})


def test_every_sick_fit_has_a_twin_and_no_other_fit_has_one():
    assert sorted(twins()) == SICK


def test_a_twin_has_the_task_of_its_sick_fit_and_a_bug_is_a_sentence():
    fits = {one.fit.name: one.fit for one in gather.cases()}
    for name, twin in twins().items():
        mine, its = (build(0).loader for build in (twin.build, fits[name].build))
        ours, theirs = mine.dataset.tensors, its.dataset.tensors
        assert mine.batch_size == its.batch_size, name
        assert [tensor.shape for tensor in ours] == [tensor.shape for tensor in theirs], name
        assert torch.equal(ours[-1], theirs[-1]), name  # targets; inputs may be of another scale
        assert not twin.bug or twin.bug.endswith("."), name


def test_bugs_are_in_the_code_or_the_data_of_the_user():
    causes = {one.fit.name: one.fit.causes for one in gather.cases() if one.fit.health == "sick"}
    bugs = {name for name, twin in twins().items() if twin.bug}
    assert {name for name in SICK if causes[name][0] == "disconnected"} <= bugs
    assert all({*causes[name]} & {"disconnected", "numerics", "loss", "data"} for name in bugs)
    assert len(bugs) < len(SICK) / 4


@pytest.mark.parametrize("name", ["mlp-relu-bias-minus-5", "wine-sigmoid-12", "diabetes-rate-grows-slowly"])
def test_a_twin_learns_what_the_sick_fit_does_not(name):
    one = gather.case(f"{name}-s0")
    sick, twin = fit(one)["score"], fit(one, build=twins()[name].build)["score"]
    assert twin > 0.4
    assert sick < 0.6 * twin


def test_a_network_that_explains_nothing_scores_zero_and_one_that_makes_the_target_one():
    one = gather.case("diabetes-tanh-18-tiny-s0")
    setup = one.fit.build(0)
    _, y = setup.loader.dataset.tensors

    class Answers(torch.nn.Module):
        def __init__(self, answer):
            super().__init__()
            self.answer = torch.nn.Parameter(answer)

        def forward(self, x):
            return self.answer.detach()

    setup.module.network = Answers(torch.zeros_like(y))
    assert score(one, setup) == pytest.approx(0.0, abs=0.01)
    setup.module.network = Answers(y)
    assert score(one, setup) == 1.0


def test_a_twin_is_curable_unless_it_says_why_not():
    assert Twin(build=lambda seed: None).bug == ""
