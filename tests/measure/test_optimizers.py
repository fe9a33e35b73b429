"""What an optimizer is given and what it steps with, at each of the moments that a host can tell of."""

import pytest
import torch
from torch import nn

from lightning_gradwatch.measure.host import to_host
from lightning_gradwatch.measure.optimizers import OptimizerMeter
from lightning_gradwatch.measure.parameters import Owned
from lightning_gradwatch.measure.traits import Traits


@pytest.fixture
def owned():
    parameters = [nn.Parameter(torch.zeros(4)), nn.Parameter(torch.ones(2))]
    for parameter, value in zip(parameters, (3.0, 4.0), strict=True):
        parameter.grad = torch.zeros_like(parameter)
        parameter.grad[0] = value
    return [Owned(f"net.{i}.weight", parameter, 0) for i, parameter in enumerate(parameters)]


def finish(meter):
    return meter.finish(iter(to_host([share.tensor for share in meter.shares()])))


def scale_gradients(owned, factor):
    for own in owned:
        own.parameter.grad.mul_(factor)


def test_by_hand(owned):
    """Gradients of norm 3 and 4 are 5 together; what clipping to 1 leaves is 1."""
    meter = OptimizerMeter(0)
    meter.begins(lambda: owned, 1.0, backwards=1)
    scale_gradients(owned, 0.2)
    with torch.no_grad():
        owned[1].parameter.sub_(torch.tensor([0.5, 0.5]))
    meter.ends()
    reading, parameters = finish(meter)
    assert (reading.index, reading.name, reading.stepped) == (0, "net", True)
    assert (reading.norm, reading.used, reading.clip_ratio) == pytest.approx((5.0, 1.0, 0.2))
    assert [p.norm for p in parameters] == [3.0, 4.0]
    assert [p.zeros for p in parameters] == [0.75, 0.5]
    assert [p.update for p in parameters] == pytest.approx([0.0, 0.5])


def test_what_arrived_is_true_where_it_was_clipped_before_the_step(owned):
    meter = OptimizerMeter(0)
    scale_gradients(owned, 128.0)
    meter.arrives(owned, 128.0)
    scale_gradients(owned, 0.1 / 128.0)  # clipped, unscaled
    meter.begins(lambda: owned, 1.0, backwards=1)
    meter.ends()
    reading, parameters = finish(meter)
    assert (reading.norm, reading.used) == pytest.approx((5.0, 0.5))
    assert [p.norm for p in parameters] == pytest.approx([3.0, 4.0])


def replaced(owned):
    owned[0].parameter.grad = torch.full((4,), 0.5)


def added_to(owned):
    owned[0].parameter.grad.add_(1.0)


def broken(owned):
    owned[0].parameter.grad.fill_(float("nan"))


@pytest.mark.parametrize("change", [replaced, added_to, broken])
def test_what_arrived_is_not_believed_where_something_else_is_used(owned, change):
    meter = OptimizerMeter(0)
    meter.arrives(owned, 1.0)
    change(owned)
    meter.begins(lambda: owned, 1.0, backwards=1)
    _, parameters = finish(meter)
    expected = owned[0].parameter.grad.norm().item()
    assert parameters[0].norm == pytest.approx(expected, nan_ok=True)


def test_other_parameters_arrived(owned):
    meter = OptimizerMeter(0)
    meter.arrives(owned[:1], 1.0)  # the other one was frozen then
    meter.begins(lambda: owned, 1.0, backwards=1)
    assert finish(meter)[0].norm == 5.0


def test_the_same_step_told_twice_is_one(owned):
    meter = OptimizerMeter(0)
    for _ in range(2):
        meter.begins(lambda: owned, 1.0, backwards=1)
    meter.ends()
    assert meter.begun == 1
    assert finish(meter)[0].used == 5.0


def test_a_closure_that_runs_again_leaves_no_word_on_what_was_used(owned):
    meter = OptimizerMeter(0)
    for backwards in (1, 2, 3):
        meter.begins(lambda: owned, 1.0, backwards)
    scale_gradients(owned, 0.01)
    meter.ends()
    reading, parameters = finish(meter)
    assert (reading.norm, reading.used, reading.clip_ratio) == (5.0, None, None)
    assert len(parameters) == 2


def test_of_several_steps_the_first_counts(owned):
    meter = OptimizerMeter(0)
    for backwards in (1, 2):
        meter.begins(lambda: owned, 1.0, backwards)
        meter.ends()
        scale_gradients(owned, 100.0)
    assert (finish(meter)[0].norm, finish(meter)[0].used) == (5.0, 5.0)


def test_a_step_that_was_never_made(owned):
    meter = OptimizerMeter(0)
    meter.begins(lambda: owned, 1.0, backwards=1)
    reading, _ = finish(meter)
    assert (reading.stepped, reading.used) == (False, None)


def test_no_gradient_at_all(owned):
    for own in owned:
        own.parameter.grad = None
    meter = OptimizerMeter(1)
    meter.begins(lambda: owned, 1.0, backwards=1)
    meter.ends()
    reading, parameters = finish(meter)
    assert (reading.norm, reading.used, reading.clip_ratio) == (None, None, None)
    assert {p.norm for p in parameters} == {None}


def test_gradients_are_not_kept_alive(owned):
    meter = OptimizerMeter(0)
    meter.arrives(owned, 1.0)
    dead = [seen() for seen in meter._seen]
    assert all(gradient is own.parameter.grad for gradient, own in zip(dead, owned, strict=True))
    del dead
    for own in owned:
        own.parameter.grad = None
    assert [seen() for seen in meter._seen] == [None, None]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["weight"], ""),
        (["net.0.weight"], "net.0"),
        (["net.0.weight", "net.10.weight"], "net"),
        (["a.weight", "b.weight"], ""),
    ],
    ids=str,
)
def test_the_optimizer_is_named_by_the_module_that_holds_all_of_its_parameters(names, expected):
    owned = [Owned(name, nn.Parameter(torch.zeros(1)), 0) for name in names]
    meter = OptimizerMeter(0)
    meter.begins(lambda: owned, 1.0, backwards=1)
    assert finish(meter)[0].name == expected


def test_weights_before_the_step_and_what_stepped(owned):
    """Root mean square of (0, 0, 0, 0) is 0, of (1, 1) it is 1; also where the step makes something else of them."""
    meter = OptimizerMeter(0)
    meter.begins(lambda: owned, 1.0, 1, Traits("AdamW", 1e-8, 0.01))
    with torch.no_grad():
        owned[1].parameter.add_(5.0)
    meter.ends()
    reading, parameters = finish(meter)
    assert (reading.kind, reading.eps, reading.decay) == ("AdamW", 1e-8, 0.01)
    assert [p.weight for p in parameters] == pytest.approx([0.0, 1.0])


def test_weights_of_which_each_rank_has_a_slice():
    """Two ranks with 4 elements of 3 and 2 elements of 0: the root of 36 / 6."""
    meters = []
    for values in (torch.full((4,), 3.0), torch.zeros(2)):
        parameter = nn.Parameter(values)
        parameter.grad = torch.ones_like(parameter)
        meters.append(OptimizerMeter(0))
        own = Owned("w", parameter, 0, copies=1, whole=6)
        meters[-1].begins(lambda own=own: [own], 1.0, 1)
        meters[-1].ends()
    shares = [meter.shares() for meter in meters]
    cpu = torch.device("cpu")
    wholes = [a.whole((a.packed(cpu) + b.packed(cpu)).tolist(), 2, 2) for a, b in zip(*shares, strict=True)]
    _, [parameter] = meters[0].finish(iter(wholes))
    assert parameter.weight == pytest.approx(6**0.5)
