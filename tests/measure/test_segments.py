import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.ledger import open_ledger
from lightning_gradwatch.measure.segments import module_of


def segments(model, x):
    loss = model(x).sum()
    ledger = open_ledger(loss.grad_fn, parameter_names(model))
    loss.backward()
    ledger.close()
    return ledger.finish([float(reading) for reading in ledger.pending()]).segments


@pytest.mark.parametrize(
    ("parameter", "module"),
    [
        ("net.0.weight", "net.0"),
        ("weight", ""),
        ("net.0.parametrizations.weight.original1", "net.0"),
        ("rnn.weight_hh_l0", "rnn"),
    ],
)
def test_module_of(parameter, module):
    assert module_of(parameter) == module


def test_activation_belongs_to_the_layer_before_it():
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1))
    found = [(s.label, s.layer, s.family) for s in segments(model, torch.ones(3, 2))]
    assert found[1:] == [
        ("4 (Addmm)", "4", "linear"),
        ("Sigmoid after 2", "2", "activation"),
        ("2 (Addmm)", "2", "linear"),
        ("Tanh after 0", "0", "activation"),
    ]


def test_views_belong_to_the_segment_before_them():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 1))
    kinds = [op.name for s in segments(model, torch.ones(2, 1, 4, 4)) for op in s.operations]
    assert kinds == ["Sum", "Addmm"]


def test_shares_of_operations_add_up_to_one():
    model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    for segment in segments(model, torch.randn(2, 3, 8)):
        assert sum(op.share for op in segment.operations) == pytest.approx(1.0)


def test_block_is_named_by_its_common_module():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)) for _ in range(2)])

        def forward(self, x):
            x = self.first(x)
            for block in self.blocks:
                x = x + block(x)
            return x

    found = segments(Two(), torch.ones(3, 4))
    assert [(s.layer, s.family, s.modules) for s in found if s.family == "block"] == [
        ("blocks.1", "block", ("blocks.1.2", "blocks.1.0")),
        ("blocks.0", "block", ("blocks.0.2", "blocks.0.0")),
    ]


def test_positions_run_from_loss_to_target():
    positions = [
        s.position for s in segments(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)), torch.ones(1, 2))
    ]
    assert positions == sorted(positions)
    assert (positions[0], positions[-1] < 1) == (0.0, True)
