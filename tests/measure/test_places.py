import pytest
import torch
from torch import nn

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.graph import walk
from lightning_gradwatch.measure.places import places


class Scaled(nn.Module):
    """A matrix product by hand, a bias, a scale, a skip."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.weight, self.bias, self.scale = (nn.Parameter(torch.ones(s)) for s in ((4, 4), (4,), (1,)))

    def forward(self, x):
        x = self.first(x)
        return torch.tanh(x + self.scale * torch.relu(x @ self.weight + self.bias))


def where(net, x, loss=torch.sum):
    graph = walk(loss(net(x)).grad_fn)
    found = places(graph, parameter_names(net))
    return graph, found


def layers(net, x, *kinds):
    graph, found = where(net, x)
    return [(k, found.layer(node), found.made_by(node)) for node, k in graph.operations.items() if k in kinds]


def test_an_activation_acts_on_the_layer_below():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 1))
    assert layers(net, torch.ones(2, 3), "Tanh", "Sigmoid") == [("Sigmoid", "2", "Addmm"), ("Tanh", "0", "Addmm")]


def test_through_norms_and_views():
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Tanh(), nn.Linear(12, 1))
    expected = [("Tanh", "0", "Convolution"), ("Relu", "0", "Convolution")]
    assert layers(net, torch.ones(2, 2, 5), "Relu", "Tanh") == expected


def test_a_norm_on_the_input_has_no_other_layer():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1))
    assert layers(net, torch.ones(4, 3), "Relu") == [("Relu", "0", "NativeBatchNorm")]


def test_a_layer_by_hand_and_a_skip():
    net = nn.Sequential(Scaled(), nn.Linear(4, 1))
    assert layers(net, torch.ones(2, 4), "Relu") == [("Relu", "0", "Mm")]
    assert layers(net, torch.ones(2, 4), "Tanh") == [("Tanh", "0.first", "Addmm")]  # the nearest of the two


@pytest.mark.parametrize("wrap", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_a_parametrized_weight_is_its_layer_s(wrap):
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), wrap(nn.Linear(4, 4)), nn.Sigmoid(), nn.Linear(4, 1))
    assert [layer for _, layer, _ in layers(net, torch.ones(2, 3), "Tanh", "Sigmoid")] == ["2", "0"]


def test_what_has_no_layer_below():
    x = torch.ones(2, 3, requires_grad=True)
    net = nn.Sequential(nn.Tanh(), nn.Linear(3, 1))
    assert layers(net, x, "Tanh") == [("Tanh", "", "")]


def test_behind_and_own():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 1), nn.Sigmoid())
    graph, found = where(net, torch.ones(2, 3), lambda output: output.square().mean())
    behind = {kind: node in found.behind for node, kind in graph.operations.items()}
    assert (behind["Pow"], behind["Sigmoid"], behind["Tanh"]) == (False, False, True)
    own = {graph.operations[node]: module for node, module in found.own.items()}
    assert own == {"Addmm": "3", "NativeLayerNorm": "2"}  # of the two Addmm the one nearer to the loss came last
