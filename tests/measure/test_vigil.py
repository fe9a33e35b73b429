import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lightning_gradwatch.measure import vigil as source
from lightning_gradwatch.measure.vigil import MOST, Look, Vigil


def parameter(gradient, **options):
    made = nn.Parameter(torch.zeros(gradient.shape, dtype=gradient.dtype), **options)
    made.grad = gradient
    return made


def seen(*gradients):
    watch = Vigil()
    watch.gradients(0, [parameter(gradient) for gradient in gradients])
    return {name: number for look in watch.settle() for name, number in look.numbers.items()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.complex64])
def test_norms_of_all_formats(dtype):
    gradient = torch.tensor([[3.0, 0.0], [0.0, -4.0]]).to(dtype)
    assert seen(gradient, torch.ones(2, 2), torch.ones(1, 4, dtype=torch.float64)) == {"0": 5.0, "1": 2.0, "2": 2.0}


def test_what_has_no_norm_to_see():
    vector, frozen, unused = (
        parameter(torch.ones(3)),
        nn.Parameter(torch.ones(2, 2), False),
        nn.Parameter(torch.ones(2, 2)),
    )
    sparse = nn.Embedding(5, 3, sparse=True)
    sparse(torch.tensor([1])).sum().backward()
    watch = Vigil()
    watch.gradients(0, [vector, frozen, unused, sparse.weight])
    assert watch.settle() == []


def test_a_gradient_that_is_missing_beside_others_is_one_of_zero():
    watch = Vigil()
    watch.gradients(0, [parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))])
    assert watch.settle() == [Look(0, {"1": 0.0, "0": 2.0})]


def test_some_of_many_spread_evenly_by_their_place():
    many = [parameter(torch.full((2, 2), float(i))) for i in range(1000)]
    watch = Vigil()
    watch.gradients(0, many)
    [look] = watch.settle()
    places = [int(name) for name in look.numbers]
    assert len(places) == MOST
    assert places[0] == 0
    assert max(b - a for a, b in zip(places, [*places[1:], 1000], strict=True)) == 16
    assert all(number == 2 * int(name) for name, number in look.numbers.items())


def test_odd_numbers_are_handed_on():
    watch = Vigil()
    watch.gradients(1, [parameter(torch.tensor([[math.inf]])), parameter(torch.zeros(1, 1))], is_true=False)
    watch.loss("loss", torch.tensor(2.5, requires_grad=True))
    assert watch.settle() == [Look(1, {"0": math.inf, "1": 0.0}, is_true=False), Look(-1, {"loss": 2.5})]


class Slow:
    """A device that has done its work only when somebody waits for it."""

    def __init__(self, patch):
        self.waited = 0
        patch.setattr(source, "_sent", self.sent)

    def sent(self, values):
        host = torch.full_like(values, math.nan)

        def synchronize():
            self.waited += 1
            host.copy_(values)

        return host, SimpleNamespace(synchronize=synchronize)


def test_of_an_accelerator_it_is_known_at_the_next_look(monkeypatch):
    device, watch = Slow(monkeypatch), Vigil()
    watch.loss("loss", torch.tensor(1.0))
    assert watch.settle() == []
    assert device.waited == 0
    watch.loss("loss", torch.tensor(2.0))
    assert watch.settle() == [Look(-1, {"loss": 1.0})]
    assert watch.settle() == [Look(-1, {"loss": 2.0})]
    assert watch.settle() == []


def test_what_is_under_way_goes_into_a_checkpoint(monkeypatch):
    Slow(monkeypatch)
    first = Vigil()
    first.loss("loss", torch.tensor(1.0))
    first.settle()
    assert first.under_way() == [Look(-1, {"loss": 1.0})]
    second = Vigil(first.under_way())
    assert second.under_way() == first.under_way()
    assert second.settle() == first.settle() == [Look(-1, {"loss": 1.0})]


def test_a_look_at_a_step_that_was_none_is_forgotten():
    watch = Vigil()
    watch.loss("loss", torch.tensor(1.0))
    watch.forget()
    assert watch.settle() == []


def test_gradients_stay_what_they_were():
    gradient = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    held = parameter(gradient)
    watch, before = Vigil(), gradient.clone()
    watch.gradients(0, [held])
    watch.settle()
    assert held.grad is gradient
    assert torch.equal(gradient, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_not_waited_for():
    held = nn.Parameter(torch.zeros(64, 64, device="cuda"))
    held.grad, watch = torch.ones(64, 64, device="cuda"), Vigil()
    torch.cuda.set_sync_debug_mode("error")
    try:
        watch.gradients(0, [held])
        watch.loss("loss", held.grad[0, 0])
        assert watch.settle() == []
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert watch.settle() == [Look(0, {"0": 64.0}), Look(-1, {"loss": 1.0})]
