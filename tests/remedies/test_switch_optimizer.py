"""What Adam does and what it does not do."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from lightning_gradwatch.errors import WrongArgument
from lightning_gradwatch.records import Kind
from lightning_gradwatch.remedies.switch_optimizer import SwitchOptimizer
from tests.remedies.findings import cause, finding, stack
from tests.remedies.optimizer_fits import NAMESPACES, fit, module_of, resumed, same
from tests.remedies.optimizers import SCHEDULERS

RULE = SwitchOptimizer()


def test_for_a_vanishing_gradient_it_says_its_limits():
    said = RULE.weigh(finding(cause("depth")), stack())
    assert "beside another remedy" in said.advice
    assert "brings nothing back" in said.reason
    assert said.fit < 0.5


def test_against_a_learning_rate_it_does_more():
    said = RULE.weigh(finding(cause("learning_rate"), kind=Kind.EXPLODING), stack())
    assert "brings nothing back" not in said.reason
    assert said.fit > 0.5


@pytest.mark.parametrize(
    ("line", "treatment", "becomes"),
    [
        (
            "return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)",
            SwitchOptimizer(),
            "return torch.optim.Adam(self.parameters(), lr=0.001)",
        ),
        (
            "o = optim.SGD(self.net.parameters(), 0.1, weight_decay=1e-4, nesterov=True)",
            SwitchOptimizer("adamw", lr=3e-4),
            "o = optim.AdamW(self.net.parameters(), lr=0.0003, weight_decay=1e-4)",
        ),
        (
            "return Adam(params, lr=0.1, weight_decay=wd)",
            SwitchOptimizer("sgd", weight_decay=0.5),
            "return SGD(params, lr=0.01, weight_decay=0.5)",
        ),
        ("return torch.optim.AdamW(params)", SwitchOptimizer("adamw"), "return torch.optim.AdamW(params)"),
        (
            "self.norm = nn.BatchNorm1d(3, momentum=0.9)",
            SwitchOptimizer(),
            "self.norm = nn.BatchNorm1d(3, momentum=0.9)",
        ),
    ],
)
def test_the_line_of_the_users_own_source(line, treatment, becomes):
    for pattern, replacement in treatment.rewrites():
        line = re.sub(pattern, replacement, line)
    assert line == becomes


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(2, 1)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_advice_shows_a_diff_of_it():
    told = SwitchOptimizer().advice(Own())
    assert "-        return torch.optim.SGD(self.parameters(), lr=0.1)" in told
    assert "+        return torch.optim.Adam(self.parameters(), lr=0.001)" in told
    assert "def configure_optimizers" in SwitchOptimizer("rmsprop", weight_decay=0.1).advice(nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"to": "lion"}, "`to` must be one of the words below"),
        ({"lr": 0}, "`lr` must be a number above 0, or None"),
        ({"weight_decay": -1.0}, "`weight_decay` must be a number of at least 0, or None"),
        ({"where": "net"}, "`where`"),
    ],
    ids=str,
)
def test_arguments_that_are_none(options, says):
    with pytest.raises(WrongArgument, match=says):
        SwitchOptimizer(**options)


def test_the_wrapper_of_lightning_imitates_the_new_class():
    treated = fit(NAMESPACES[1], SwitchOptimizer())
    wrapper = treated.trainer.strategy._lightning_optimizers[0]
    assert isinstance(wrapper, torch.optim.Adam)
    assert not isinstance(wrapper, torch.optim.SGD)
    assert "LightningOptimizer" in [kind.__name__ for kind in type(wrapper).__mro__]


@pytest.mark.parametrize("name", ["StepLR", "OneCycleLR", "LambdaLR", "ReduceLROnPlateau"])
def test_a_scheduled_fit_is_resumed_exactly(name, tmp_path):
    def module(pl):
        return module_of(pl, schedule=SCHEDULERS[name])

    assert same(
        fit(NAMESPACES[0], SwitchOptimizer(), module=module),
        resumed(NAMESPACES[0], SwitchOptimizer, tmp_path, module=module),
    )


def test_where_is_whole_optimizers():
    net = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    first, all_of_it = (torch.optim.SGD(part.parameters(), lr=0.1) for part in (net[0], net))
    applied = SwitchOptimizer().apply(net, [first, all_of_it], where=["0"])
    assert applied.changed == ("SGD 0",)
    assert applied.left == ("SGD 1 also moves parameters elsewhere than in 0.",)
