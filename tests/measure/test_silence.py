import copy
import json
import pickle

import pytest
import torch

from lightning_gradwatch.measure.silence import Silence


def mask(*dead):
    return torch.tensor(dead, dtype=torch.bool)


def steps(silence, masks, key="net.0"):
    found = []
    for dead in masks:
        share, window = silence.take(key, dead)
        silence.commit()
        found.append((share.item(), window))
    return found


def test_by_hand():
    """A unit that lives once is not silent until eight steps have passed since."""
    silence = Silence()
    first = mask(True, True, False, False)
    other = mask(True, False, True, False)
    assert steps(silence, [first, other, other]) == [(0.5, 1), (0.25, 2), (0.25, 3)]
    assert steps(silence, [other] * 6) == [(0.25, n) for n in (4, 5, 6, 7, 8)] + [(0.5, 8)]


@pytest.mark.parametrize(
    "through", [lambda s: s, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))], ids=["state", "copy", "pickle"]
)
def test_goes_on_where_it_was(through):
    masks = [torch.rand(50, generator=torch.Generator().manual_seed(i)) > 0.3 for i in range(20)]
    whole, silence = Silence(), Silence()
    expected = steps(whole, masks)
    found = steps(silence, masks[:7])
    resumed = Silence()
    resumed.restore(json.loads(json.dumps(through(silence).state())))
    assert found + steps(resumed, masks[7:]) == expected


def test_a_step_that_was_none_is_forgotten():
    silence = Silence()
    silence.take("net.0", mask(True, False))
    silence.forget()
    assert silence.state() == {}
    assert steps(silence, [mask(True, False)]) == [(0.5, 1)]


def test_another_shape_begins_anew():
    silence = Silence()
    steps(silence, [mask(True, False)] * 5)
    assert steps(silence, [mask(True, True, False, False)]) == [(0.5, 1)]


def test_very_wide_and_very_many_layers():
    silence = Silence()
    [(share, _)] = steps(silence, [torch.arange(10_000) < 2_500])
    assert share == pytest.approx(0.25, abs=0.001)
    assert len(silence.state()["net.0"][1]) < 4097
    for i in range(70):
        silence.take(f"other.{i}", mask(True))
    silence.commit()
    assert len(silence.state()) == 64
    assert silence.take("one more", mask(True)) is None


@pytest.mark.parametrize("state", [{"a": []}, {"a": ["x", "0"]}, {"a": [1, "z"]}, []])
def test_a_damaged_state_is_an_error_that_is_known(state):
    with pytest.raises((AttributeError, IndexError, KeyError, TypeError, ValueError)):
        Silence().restore(state)
