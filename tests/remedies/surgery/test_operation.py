"""One treatment of one network, and the way back."""

import copy

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.remedies.surgery.marker import marker_of
from tests.fits.modules import fingerprint
from tests.remedies.treatments import Draw, Fails, Slow, Swap, loader, net, steps


def whole(model, optimizer):
    """All that there is of both."""
    hooks = [{key: len(value) for key, value in vars(m).items() if key.endswith("_hooks")} for m in model.modules()]
    grads = [(p.requires_grad, p.grad is None) for p in model.parameters()]
    identities = [id(p) for p in model.parameters()], [id(m) for m in model.modules()]
    return fingerprint(model.state_dict()), optimizer.state_dict()["param_groups"], hooks, grads, identities


def made(**options):
    model = net()
    return model, torch.optim.Adam(model.parameters(), lr=0.01, **options)


@pytest.mark.parametrize("treatment", [Swap(), Draw(seed=3), Slow()], ids=repr)
def test_done_fitted_and_undone_is_never_done(treatment):
    model, optimizer = made()
    steps(model, optimizer, 2)
    optimizer.zero_grad()
    before, numbers = whole(model, optimizer), torch.get_rng_state()
    twin = copy.deepcopy((model, optimizer))
    applied = treatment.apply(model, optimizer)
    assert torch.equal(torch.get_rng_state(), numbers)
    assert applied.changed
    assert whole(model, optimizer) != before
    steps(model, optimizer)
    applied.undo()
    assert whole(model, optimizer) == before
    assert torch.equal(torch.get_rng_state(), numbers)
    steps(model, optimizer, 5)
    torch.set_rng_state(numbers)
    steps(*twin, 5)
    assert fingerprint(model.state_dict()) == fingerprint(twin[0].state_dict())
    assert fingerprint(optimizer.state_dict()) == fingerprint(twin[1].state_dict())


def test_several_are_undone_in_reverse():
    model, optimizer = made()
    before = whole(model, optimizer)
    done = [treatment.apply(model, optimizer) for treatment in (Swap(), Draw(), Slow())]
    steps(model, optimizer, 2)
    for applied in reversed(done):
        applied.undo()
    assert whole(model, optimizer) == before


def test_an_edit_that_breaks_off_leaves_all_as_it_was():
    model, optimizer = made()
    before = whole(model, optimizer)
    with pytest.raises(RuntimeError, match="half-way"):
        Fails().apply(model, optimizer)
    assert whole(model, optimizer) == before
    assert marker_of(model) is None


def test_a_place_that_is_not_there_is_told_before_anything_happens():
    model, optimizer = made()
    before = whole(model, optimizer)
    with pytest.raises(WrongArgument, match="`where`"):
        Swap().apply(model, optimizer, where=["nowhere"])
    assert whole(model, optimizer) == before


def test_what_is_told():
    model, optimizer = made()
    applied = Swap(0.5).apply(model, optimizer, ["1"])
    assert (applied.treatment, applied.changed, applied.parameters) == ("Swap(0.5)", ("1",), 1)
    assert applied.did == ("1: Sigmoid is PReLU now.",)
    assert applied.spec == {**Swap(0.5).spec(), "where": ["1"]}
    assert isinstance(model[3], nn.Sigmoid)


def test_nothing_to_do_is_nothing_to_undo():
    model = nn.Sequential(nn.Linear(4, 4))
    applied = Swap().apply(model)
    assert (bool(applied), applied.can_undo, marker_of(model)) == (False, False, None)


def test_without_an_undo_nothing_is_copied():
    model, optimizer = made()
    applied = Swap().apply(model, optimizer, undoable=False)
    assert applied.changed
    assert not applied.can_undo
    applied.undo()
    assert isinstance(model[1], nn.PReLU)


def test_a_network_that_cannot_be_edited_is_left():
    model = torch.compile(net(), backend="eager")
    applied = Swap().apply(model)
    assert not applied
    [sentence] = applied.left
    assert sentence.startswith("It is compiled")


def test_the_seed_decides():
    drawn = [net() for _ in range(3)]
    for model, seed in zip(drawn, (1, 1, 2), strict=True):
        torch.rand(seed)  # wherever the random numbers of the process are
        Draw(seed=seed).apply(model)
    one, same, other = (fingerprint(model.state_dict()) for model in drawn)
    assert one == same != other


def test_a_lazy_network():
    model = nn.Sequential(nn.LazyLinear(4), nn.Sigmoid(), nn.Linear(4, 1))
    applied = Swap().apply(model)
    assert (applied.changed, applied.parameters) == (("1",), 1)
    model(next(iter(loader()))[0])
    applied.undo()
    assert isinstance(model[1], nn.Sigmoid)
    assert type(model[0]) is nn.Linear
