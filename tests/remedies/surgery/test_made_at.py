"""The line that makes a module."""

from __future__ import annotations

import inspect
from pathlib import Path

from torch import nn

from lightning_gradwatch.remedies.surgery.made_at import line_of


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(2, 2),
            nn.Sigmoid(),
            nn.Linear(2, 1),
            nn.Tanh(),
        )
        self.out = nn.Softsign()
        self.starred = nn.Sequential(*[nn.Tanh()])


def test_the_line_is_that_of_the_file():
    model, lines = Net(), Path(inspect.getsourcefile(Net)).read_text().splitlines()
    for module, text in [(model.body[1], "nn.Sigmoid(),"), (model.body[3], "nn.Tanh(),"), (model.out, "nn.Softsign()")]:
        file, line = line_of(nn.Sequential(model), module)
        assert file == "test_made_at.py"
        assert text in lines[line - 1]


def test_none_where_it_cannot_be_told():
    model = Net()
    assert line_of(model, model.starred[0]) is None
    assert line_of(model, nn.Tanh()) is None
    assert line_of(nn.Sequential(nn.Tanh()), nn.Tanh()) is None
