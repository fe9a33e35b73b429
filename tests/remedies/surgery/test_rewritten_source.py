"""The user's own source, rewritten."""

from __future__ import annotations

import pytest
from torch import nn

from lightning_gradwatch import ReplaceActivation
from tests.remedies.surgery.networks import Functional, Image


def changed(text, sign):
    return [line[1:].strip() for line in text.splitlines() if line.startswith(sign) and not line.startswith(sign * 3)]


def test_lines_that_are_spared_stay():
    told = ReplaceActivation().advice(Image())
    assert changed(told, "-")[0] == "self.act = nn.Sigmoid()"
    assert changed(told, "+")[0] == "self.act = nn.ReLU()"
    assert "self.out = nn.ReLU()" not in told  # the output's


@pytest.mark.parametrize(
    ("to", "line"),
    [
        ("relu", "x = torch.relu(self.first(x))"),
        ("leaky_relu", "x = torch.nn.functional.leaky_relu(self.first(x))"),
    ],
)
def test_functions_are_rewritten_where_they_are_hidden(to, line):
    told = ReplaceActivation(to).advice(Functional())
    assert changed(told, "+") == [line]
    assert "self.head(x)" not in changed(told, "-")


def test_where_no_line_is_the_users_there_are_lines_to_add():
    assert "ReplaceActivation().apply(model)" in ReplaceActivation().advice(nn.Sequential(nn.Linear(2, 2), nn.Tanh()))
