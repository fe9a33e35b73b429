"""What a treatment looks like in the user's own source."""

import re

from torch import nn

from lightning_gradwatch.remedies.surgery.source import indented, patch
from tests.remedies.treatments import Draw, Swap, net


class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.act = nn.Sigmoid()
        self.out = nn.Linear(2, 1)


def test_a_diff_with_the_numbers_of_the_file():
    told = patch(Swap(), nn.Sequential(Mine(), Mine()))
    with open(__file__, encoding="utf-8") as file:
        line = next(i for i, text in enumerate(file, 1) if "self.act = nn.Sigmoid()" in text)
    assert told.splitlines() == [
        "--- test_source.py",
        "+++ test_source.py",
        f"@@ -{line - 1},3 +{line - 1},3 @@",
        "         self.layer = nn.Linear(2, 2)",
        "-        self.act = nn.Sigmoid()",
        "+        self.act = nn.PReLU()",
        "         self.out = nn.Linear(2, 1)",
    ]


def test_the_diff_survives_the_treatment():
    model = nn.Sequential(Mine())
    before = patch(Swap(), model)
    Swap().apply(model)
    assert patch(Swap(), model) == before


def test_lines_to_add_where_none_can_be_rewritten():
    assert patch(Draw(), Mine()) == patch(Swap(), net()).replace("Swap", "Draw")
    assert "Draw().apply(model)" in patch(Draw(), Mine())


def test_a_class_without_source():
    space = {"nn": nn}
    exec(
        "class Typed(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.a = nn.Sigmoid()",
        space,
    )
    assert re.search(r"Swap\(\)\.apply\(model\)", patch(Swap(), space["Typed"]()))


def test_lines_of_a_method():
    assert indented("a\nb") == "        a\n        b"
