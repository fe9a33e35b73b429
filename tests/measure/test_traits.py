import pytest
import torch

from lightning_gradwatch.measure.traits import Traits, traits_of

CASES = {
    "sgd": (lambda p: torch.optim.SGD(p, lr=0.1), Traits("SGD", None, 0.0)),
    "adam": (lambda p: torch.optim.Adam(p, eps=1e-6), Traits("Adam", 1e-6, 0.0)),
    "a pair of them": (torch.optim.Adafactor, Traits("Adafactor", None, 0.0)),
    "groups": (
        lambda p: torch.optim.AdamW([{"params": p, "weight_decay": 0.5, "eps": 1e-4}], weight_decay=0.1),
        Traits("AdamW", 1e-4, 0.5),
    ),
}


@pytest.mark.parametrize(("make", "expected"), CASES.values(), ids=CASES)
def test_traits(make, expected):
    assert traits_of(make([torch.nn.Parameter(torch.ones(1))])) == expected


def test_the_largest_of_several_groups_counts():
    first, second = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    optimizer = torch.optim.AdamW([{"params": [first], "weight_decay": 0.0}, {"params": [second], "eps": 1e-3}])
    assert traits_of(optimizer) == Traits("AdamW", 1e-3, 0.01)


def test_what_is_no_optimizer_of_torch_has_a_name():
    assert traits_of(object()) == Traits("object")


def test_parameters_of_layers_that_are_gone():
    here, gone, fed = (torch.nn.Parameter(torch.ones(1)) for _ in range(3))
    fed.grad = torch.ones(1)  # of no module, but used: a loss's own temperature
    optimizer = torch.optim.SGD([here, gone, fed], lr=0.1)
    assert traits_of(optimizer, {id(here)}).strangers == 1
    assert traits_of(optimizer).strangers == 0
