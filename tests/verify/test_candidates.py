"""What is tried against a finding: in the order of the diagnosis, in the company that each remedy needs."""

import math

import pytest
import torch
from torch import nn

from lightning_gradwatch import Initialize, ReplaceActivation, checkup
from lightning_gradwatch.anatomy import inspect_model
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies import remedies
from lightning_gradwatch.verify.candidates import Case, candidates
from tests.remedies.findings import cause, finding

BATCH = (torch.rand(32, 16), torch.randint(2, (32,)))


def net(activation=nn.Sigmoid, depth=12):
    torch.manual_seed(0)
    layers = [layer for _ in range(depth) for layer in (nn.Linear(16, 16), activation())]
    return nn.Sequential(*layers, nn.Linear(16, 2))


def case(model=None, optimizer=torch.optim.SGD, found=None, **options):
    model = net() if model is None else model
    return Case(
        finding=checkup(model, BATCH).worst if found is None else found,
        anatomy=inspect_model(model),
        model=model,
        optimizers=[optimizer(model.parameters(), lr=0.1)],
        **options,
    )


def names(tried):
    return [[type(one).__name__ for one in candidate] for candidate in tried]


def with_remedies(kind, *named, layers=("0",)):
    """A finding that the diagnosis gave these remedies to."""
    from dataclasses import replace

    from lightning_gradwatch.records import Remedy

    told = [Remedy(name=name, title="", advice="", reason="", cures=(), source="") for name in named]
    return replace(finding(cause("initialization"), kind=kind, layers=layers), remedies=tuple(told))


def test_they_stand_in_the_order_of_the_diagnosis():
    sick = case(optimizer=torch.optim.Adam)
    order = [remedy.name for remedy in sick.finding.remedies]
    first = list(dict.fromkeys(candidate[0] for candidate in names(candidates(sick))))
    assert first == [name for name in order if name in first]
    assert first[0] == order[0] == "ReplaceActivation"


def test_each_comes_with_what_belongs_to_it_and_with_adam_where_there_is_none():
    tried = names(candidates(case()))
    assert tried[0] == ["ReplaceActivation", "Initialize", "SwitchOptimizer"]
    assert ["ReplaceActivation", "Initialize"] in tried
    assert ["ReplaceActivation"] not in tried  # other weights belong to other activations
    adaptive = names(candidates(case(optimizer=torch.optim.AdamW)))
    assert adaptive[0] == ["ReplaceActivation", "Initialize"]
    assert all(len(one) == 1 for one in adaptive if "SwitchOptimizer" in one)


def test_every_remedy_has_its_turn_before_any_has_a_second():
    tried = [candidate[0] for candidate in names(candidates(case()))]
    firsts = list(dict.fromkeys(tried))
    assert tried[: len(firsts)] == firsts


def test_what_the_diagnosis_does_not_name_comes_last():
    tried = names(candidates(case(optimizer=torch.optim.Adam, found=with_remedies(Kind.VANISHING, "RaiseRate"))))
    assert tried[0] == ["RaiseRate"]
    assert [one[0] for one in tried[1:4]] == ["Initialize", "AddResidual", "InsertNormalization"]


def test_none_is_there_twice():
    tried = [tuple(map(repr, candidate)) for candidate in candidates(case())]
    assert len(set(tried)) == len(tried) > 4


@pytest.mark.parametrize("name", ["DecayLR", "ClipGradients"])
def test_what_never_brought_a_gradient_back_is_not_tried_for_one(name):
    vanished = with_remedies(Kind.VANISHING, name, "Initialize")
    exploded = with_remedies(Kind.EXPLODING, name, "Initialize")
    assert all(name not in one for one in names(candidates(case(found=vanished))))
    assert any(name in one for one in names(candidates(case(found=exploded))))


def test_ruined_weights_are_drawn_anew_beside_any_remedy():
    tried = names(candidates(case(found=with_remedies(Kind.EXPLODING, "DecayLR"))))
    assert tried[0] == ["DecayLR", "Initialize"]
    assert ["DecayLR"] in tried


def test_nothing_is_tried_that_leaves_broken_weights():
    model = net()
    with torch.no_grad():
        model[4].weight[0, 0] = math.nan
    tried = candidates(case(model, found=with_remedies(Kind.NONFINITE, "ClipGradients", "InsertNormalization")))
    assert tried
    assert all(any(isinstance(one, Initialize) for one in candidate) for candidate in tried)


def test_late_only_the_sick_part_is_drawn_anew():
    late = with_remedies(Kind.VANISHING, "InsertNormalization", layers=("4", "6"))
    tried = candidates(case(found=late, is_young=False))
    (drawn,) = [one for one in tried if isinstance(one[0], Initialize) and len(one) == 1]
    assert drawn[0].where == ["4", "6"]
    young = candidates(case(found=with_remedies(Kind.VANISHING, "Initialize")))
    assert all(one.where is None for candidate in young for one in candidate)


def test_functions_are_initialised_for_what_the_ledger_saw():
    class Functional(nn.Module):
        def __init__(self, act):
            super().__init__()
            self.layers, self.act = nn.ModuleList(nn.Linear(16, 16) for _ in range(20)), act

        def forward(self, x):
            for layer in self.layers:
                x = self.act(layer(x))
            return x

    torch.manual_seed(0)
    tried = candidates(case(Functional(torch.relu)))
    drawn = next(one for candidate in tried for one in candidate if isinstance(one, Initialize))
    model = Functional(torch.relu)
    drawn.apply(model)
    assert model.layers[3].weight.std().item() == pytest.approx((2 / 16) ** 0.5, rel=0.2)


def test_what_takes_longer_than_a_trial_is_tried_only_where_it_is_named():
    heavy = [one.name for one in remedies() if getattr(one, "heavy", False)]
    assert "PretrainLayerwise" in heavy
    found = with_remedies(Kind.VANISHING, "PretrainLayerwise", "Initialize")
    assert all("PretrainLayerwise" not in one for one in names(candidates(case(found=found))))
    assert names(candidates(case(found=found), ["PretrainLayerwise"])) == [["PretrainLayerwise"]]


def test_only_what_the_user_allows_and_as_he_made_it():
    mine = ReplaceActivation("elu")
    tried = candidates(case(), [mine])
    assert [list(map(repr, one)) for one in tried] == [["ReplaceActivation('elu')"]]
    assert candidates(case(), []) == []
    (drawn,) = candidates(case(found=with_remedies(Kind.VANISHING, "Initialize")), [Initialize("orthogonal")])
    assert repr(drawn[0]) == "Initialize('orthogonal')"


def test_what_does_not_apply_is_left_out():
    tried = names(candidates(case(net(nn.ReLU), found=with_remedies(Kind.VANISHING, "SwapRecurrent", "Initialize"))))
    assert all("SwapRecurrent" not in one for one in tried)
