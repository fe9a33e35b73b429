"""A treated network says so in its state."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from lightning_gradwatch.remedies.surgery.marker import mark, marker_of, treatments_in, unmark
from tests.remedies.treatments import Swap, net

SPEC = Swap(0.5).spec()


def treated(make=net):
    model = make()
    mark(model, "Swap(0.5)", SPEC)
    return model


def test_the_state_has_one_key_more_that_is_read_as_data():
    [extra] = treated().state_dict().keys() - net().state_dict().keys()
    assert extra.startswith("lightning_gradwatch: these weights belong to a network treated with Swap(0.5); ")
    assert treatments_in(treated().state_dict()) == (extra, [("Swap(0.5)", SPEC)])
    assert treatments_in(net().state_dict()) == ("", [])


def test_loads_into_the_same_treatment_and_into_no_other():
    treated().load_state_dict(treated().state_dict())
    with pytest.raises(RuntimeError, match=r"Unexpected key.*belong to a network treated with Swap\(0.5\)"):
        net().load_state_dict(treated().state_dict())
    other = net()
    mark(other, "Other()", {})
    with pytest.raises(RuntimeError, match=r"treated with Swap\(0.5\)"):
        other.load_state_dict(treated().state_dict())
    net().load_state_dict(treated().state_dict(), strict=False)


def test_weights_from_before_the_treatment_may_be_loaded():
    treated().load_state_dict(net().state_dict())


def test_in_a_network_around_it():
    outer = nn.ModuleDict({"net": treated()})
    [key] = [key for key in outer.state_dict() if "lightning_gradwatch" in key]
    assert key.startswith("net.lightning_gradwatch: ")
    assert treatments_in(outer.state_dict(), "net.")[1] == [("Swap(0.5)", SPEC)]
    outer.load_state_dict(outer.state_dict())
    with pytest.raises(RuntimeError, match=r"net\.lightning_gradwatch: these weights"):
        nn.ModuleDict({"net": net()}).load_state_dict(outer.state_dict())


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "DataParallel": nn.DataParallel,
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
}


@pytest.mark.parametrize("way", COPIES)
def test_copies_and_wrappers_are_marked_too(way):
    one = COPIES[way](treated())
    state = one.state_dict()
    [key] = [key for key in state if "lightning_gradwatch" in key]
    one.load_state_dict(state)
    one.load_state_dict(state, strict=True, assign=True)
    assert key.endswith(treatments_in(treated().state_dict())[0])


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_is_marked_on_its_own(way):
    model = treated()
    twin = COPIES[way](model)
    mark(twin, "Draw()", {"remedy": "Draw"})
    assert [told for told, _ in marker_of(model).specs] == ["Swap(0.5)"]
    assert [told for told, _ in marker_of(twin).specs] == ["Swap(0.5)", "Draw()"]
    twin.load_state_dict(twin.state_dict())


def test_checkpoints_load_as_weights_only():
    file = io.BytesIO()
    torch.save(treated().state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    treated().load_state_dict(state)
    assert treatments_in(state)[1] == [("Swap(0.5)", SPEC)]


def test_saving_where_new_tensors_lie_elsewhere():
    with torch.device("meta"):
        state = treated().state_dict()
    assert treatments_in(state)[1] == [("Swap(0.5)", SPEC)]


def test_loading_leaves_the_users_own_dictionary_alone():
    state = treated().state_dict()
    keys = list(state)
    treated().load_state_dict(state)
    assert list(state) == keys


def test_taken_back_last_first():
    model = treated()
    mark(model, "Draw()", {})
    mark(model, "Swap(0.5)", {})
    unmark(model, "Swap(0.5)")
    assert [told for told, _ in marker_of(model).specs] == ["Swap(0.5)", "Draw()"]
    unmark(model, "Draw()")
    unmark(model, "Swap(0.5)")
    unmark(model, "Swap(0.5)")
    assert model.state_dict().keys() == net().state_dict().keys()
    net().load_state_dict(model.state_dict())
    unmark(net(), "Swap(0.5)")


@pytest.mark.parametrize("value", [torch.tensor([1, 2, 3], dtype=torch.uint8), torch.ones(2, 2), torch.ones(0)])
def test_a_damaged_marker_tells_nothing(value):
    [key] = [key for key in treated().state_dict() if "lightning_gradwatch" in key]
    assert treatments_in({key: value})[1] == []


@pytest.mark.parametrize(
    ("treatment", "where", "loads"),
    [
        (Swap(0.5, seed=4), None, True),
        (Swap(0.5, where=["*"]), None, False),
        (Swap(0.5), ["1"], False),
        (Swap(0.25), None, False),
    ],
    ids=["another seed", "made for other places", "applied in other places", "another slope"],
)
def test_weights_go_where_the_same_was_done_whatever_the_seed(treatment, where, loads):
    one, other = net(), net()
    Swap(0.5, seed=3).apply(one)
    treatment.apply(other, where=where)
    if loads:
        other.load_state_dict(one.state_dict())
        assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
        return
    with pytest.raises(RuntimeError, match=r"belong to a network treated with Swap\(0.5\)"):
        other.load_state_dict(one.state_dict())
