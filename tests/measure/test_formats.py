import torch
from torch import nn

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.formats import dtype_name, formats_in
from lightning_gradwatch.measure.graph import walk
from lightning_gradwatch.measure.ledger import open_ledger


def segments(model, x, scale=1.0):
    """The ledger's segments of one backward under float16 autocast."""
    with torch.autocast("cpu", torch.float16):
        loss = model(x).float().square().mean()
    ledger = open_ledger(loss.grad_fn, parameter_names(model), scale=scale)
    loss.backward(torch.tensor(scale))
    ledger.close()
    return ledger.finish([float(reading) for reading in ledger.pending()])


def test_names():
    assert (dtype_name(torch.bfloat16), dtype_name(torch.complex64)) == ("bfloat16", "complex64")


def test_formats_are_known_before_the_backward():
    layer = nn.Linear(3, 2)
    with torch.autocast("cpu", torch.float16):
        loss = layer(torch.ones(4, 3)).float().sum()
    assert set(formats_in(walk(loss.grad_fn).order)) == {"float32", "float16"}
    assert formats_in([object()]) == ()


def test_under_autocast_each_stretch_has_its_own():
    torch.manual_seed(0)
    ledger = segments(nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2)), torch.randn(4, 8))
    assert [(s.dtype, s.size) for s in ledger.segments if s.modules] == [("float16", 8)]
    assert {s.dtype for s in ledger.segments if s.family == "activation"} == {"float16"}
    assert ledger.segments[0].dtype == "float32"


class Inside(nn.Module):
    """A block that is float32 on both sides and float16 inside."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            x = x.float() * 1.5
        return x + self.second(self.first(x)).float()


def test_a_block_is_as_narrow_as_its_inside():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), Inside(), nn.Linear(6, 2))
    blocks = [s for s in segments(model, torch.randn(4, 6)).segments if s.family == "block"]
    assert [block.dtype for block in blocks] == ["float16"]


def test_the_scale_is_told():
    assert segments(nn.Sequential(nn.Linear(3, 2)), torch.ones(4, 3), scale=8.0).scale == 8.0
