"""What single operations do: read from the graph, equal to the twin that has the outputs and differentiates them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lightning_gradwatch.anatomy import parameter_names
from lightning_gradwatch.measure.activations import dead_share, slope_ratio
from lightning_gradwatch.measure.graph import walk
from lightning_gradwatch.measure.host import to_host
from lightning_gradwatch.measure.inner import Operations
from lightning_gradwatch.measure.places import places
from lightning_gradwatch.measure.silence import Silence


def read(net, x, loss_of=lambda output: output.square().mean(), silence=None):
    operations = Operations(silence)
    loss = loss_of(net(x))
    graph = walk(loss.grad_fn)
    operations.read(graph, places(graph, parameter_names(net)))
    return operations.finish(iter(to_host([share.tensor for share in operations.shares()])))


def one(readings, operation):
    [found] = [reading for reading in readings if reading.operation == operation]
    return found


def dead_twin(function, x, dim):
    """Share of units whose largest |slope|, by autograd in float64, is below a thousandth of the largest there is."""
    grid = torch.linspace(-10, 10, 5001, dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(function(grid).sum(), grid)
    x = x.detach().double().requires_grad_()
    (grad,) = torch.autograd.grad(function(x).sum(), x)
    units = grad.abs().movedim(dim, 0).flatten(1)
    return sum(unit.max().item() < 1e-3 * slopes.abs().max().item() for unit in units) / len(units)


def test_by_hand():
    """Of four ReLUs one never lets anything through, one half of the time, two always: slope 5/8, dead 1/4."""
    net = nn.Sequential(nn.Linear(1, 4, bias=False), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[0.0], [1.0], [1.0], [-1.0]]))
    x = torch.tensor([[1.0]] * 8 + [[-1.0]] * 8)
    reading = one(read(net, x), "Relu")
    assert (reading.layer, reading.family, reading.units, reading.rows) == ("0", "activation", 4, 16)
    assert (reading.slope, reading.dead, reading.silent, reading.window) == (0.375, 0.25, 0.25, 1)
    assert (reading.uses, reading.gates) == (1, False)


FUNCTIONS = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "threshold": lambda x: F.threshold(x, 0.5, 0.0),
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "celu": lambda x: F.celu(x, 0.5),
    "mish": F.mish,
    "hardswish": F.hardswish,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}


class Between(nn.Module):
    """A layer, a function, a head; keeps what the function was given."""

    def __init__(self, layer, function, head):
        super().__init__()
        self.layer, self.head, self.function = layer, head, function

    def forward(self, x):
        self.given = self.layer(x)
        return self.head(self.function(self.given))


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("shape", [(12, 6), (5, 7, 6)], ids=str)
def test_dead_units_of_linear_layers_equal_the_twin(function, shape):
    net = Between(nn.Linear(6, 40), function, nn.Linear(40, 1))
    with torch.no_grad():
        net.layer.bias.copy_(torch.linspace(-30, 30, 40))
    [reading] = read(net, torch.randn(shape))
    assert reading.dead == pytest.approx(dead_twin(function, net.given, -1), abs=0.026)  # one unit at the edge
    assert (reading.units, reading.rows) == (40, net.given.numel() // 40)


@pytest.mark.parametrize(("layer", "shape"), [(nn.Conv2d, (3, 2, 6, 6)), (nn.Conv1d, (3, 2, 9))], ids=["2d", "1d"])
@pytest.mark.parametrize("norm", [False, True])
def test_dead_channels_equal_the_twin(layer, shape, norm):
    norms = {nn.Conv2d: nn.BatchNorm2d, nn.Conv1d: nn.BatchNorm1d}
    conv = layer(2, 10, 3)
    with torch.no_grad():
        conv.bias.copy_(torch.linspace(-5, 5, 10))
    made = nn.Sequential(conv, norms[layer](10)) if norm else conv
    if norm:
        with torch.no_grad():
            made[1].bias.copy_(torch.linspace(-9, 9, 10))
    net = Between(made, torch.relu, nn.Flatten())
    readings = read(net, torch.randn(shape), lambda output: (output @ torch.ones(output.shape[1], 1)).sum())
    [reading] = [reading for reading in readings if reading.operation == "Relu"]
    assert reading.dead == pytest.approx(dead_twin(torch.relu, net.given, 1))
    assert 0 < reading.dead < 1
    assert (reading.units, reading.rows) == (10, net.given.numel() // 10)


def test_a_short_batch_says_nothing_of_death():
    net = Between(nn.Linear(6, 4), torch.relu, nn.Linear(4, 1))
    [reading] = read(net, torch.randn(7, 6))
    assert (reading.dead, reading.silent, reading.window) == (None, None, 0)
    assert reading.slope is not None


def test_a_large_activation_is_thinned_by_rows():
    net = Between(nn.Linear(6, 400), torch.tanh, nn.Linear(400, 1))
    with torch.no_grad():
        net.layer.bias.copy_(torch.linspace(-30, 30, 400))
    [reading] = read(net, torch.randn(3000, 6))
    assert reading.dead == pytest.approx(dead_twin(torch.tanh, net.given, -1), abs=0.02)
    assert reading.rows == 3000


class Gated(nn.Module):
    def __init__(self, gate):
        super().__init__()
        self.first, self.value, self.head, self.gate = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 1), gate

    def forward(self, x):
        return self.head(self.gate(torch.sigmoid(self.first(x)), self.value(x)))


GATES = {
    "gate": (lambda gate, value: gate * value, True),
    "through views": (lambda gate, value: gate[:, :3].unsqueeze(2) * value.view(-1, 3, 2) @ torch.ones(2, 2), True),
    "used beside": (lambda gate, value: gate * value + gate, False),
    "by a number": (lambda gate, value: 2 * gate + value, False),
    "added": (lambda gate, value: gate + value, False),
}


@pytest.mark.parametrize(("gate", "gates"), GATES.values(), ids=GATES)
def test_gates(gate, gates):
    net = Gated(gate)
    if gate is GATES["through views"][0]:
        net.head = nn.Flatten()
    assert (
        one(read(net, torch.randn(9, 6), lambda output: (output * net.value.weight.sum()).sum()), "Sigmoid").gates
        is gates
    )


def test_the_output_is_no_activation_inside_and_the_loss_s_softmax_none_at_all():
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3), nn.Sigmoid())
    readings = read(net, torch.randn(9, 6))
    assert [(r.operation, r.family, r.layer) for r in readings] == [
        ("Sigmoid", "output", "2"),
        ("Tanh", "activation", "0"),
    ]
    y = torch.zeros(9, dtype=torch.long)
    readings = read(net[:3], torch.randn(9, 6), lambda output: F.cross_entropy(output, y))
    assert [r.operation for r in readings] == ["Tanh"]


def test_norms():
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LayerNorm(64), nn.Linear(64, 1)
    )
    x = torch.randn(5, 2, 6, 6)
    found = {r.operation: (r.layer, r.family, r.rows, r.units, r.slope) for r in read(net, x)}
    assert found["NativeBatchNorm"] == ("1", "norm", 5 * 4 * 4, 4, None)
    assert found["NativeLayerNorm"] == ("4", "norm", 64, 0, None)
    assert one(read(net.eval(), x), "NativeBatchNorm").rows == 0


@pytest.mark.parametrize(("steps", "uses"), [(5, 5), (40, 40)])
def test_time_steps_are_one_reading(steps, uses):
    net = nn.RNN(3, 6, batch_first=True)
    x = torch.randn(9, steps, 3)
    [reading] = read(net, x, lambda output: output[0][:, -1].sum())  # of which the last step is an output, too
    assert reading.family == "activation"
    assert (reading.uses, reading.rows, reading.units) == (uses, 9 * steps, 6)
    exact = (1 - net(x)[0].double().square()).mean().item()
    assert reading.slope == pytest.approx(exact, rel=1e-4 if steps < 9 else 0.1)


def test_attention_anywhere():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True, norm_first=True)
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(40, 1))
    found = {(r.layer, r.operation) for r in read(net, torch.randn(9, 5, 8))}
    assert ("0.self_attn", "ScaledDotProductFlashAttentionForCpu") in found
    assert ("0.linear1", "Relu") in found


def test_the_first_loss_of_a_step_that_shows_an_operation_counts():
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    operations = Operations()
    for x in (torch.zeros(9, 6), torch.randn(9, 6)):
        graph = walk(net(x).sum().grad_fn)
        operations.read(graph, places(graph, parameter_names(net)))
    [reading] = operations.finish(iter(to_host([share.tensor for share in operations.shares()])))
    assert round(5 * reading.slope, 5) in range(6)  # on zeros all samples are alike


def test_of_very_many_layers_some_are_read():
    net = nn.Sequential(*(m for _ in range(200) for m in (nn.Linear(2, 2), nn.Tanh())), nn.Linear(2, 1))
    readings = read(net, torch.randn(9, 2))
    assert len(readings) == 128
    assert (readings[0].layer, readings[-1].layer) == ("398", "0")


def test_silence_lasts_from_step_to_step():
    net, silence = Between(nn.Linear(6, 4), torch.relu, nn.Linear(4, 1)), Silence()
    with torch.no_grad():
        net.layer.bias.copy_(torch.tensor([-99.0, -99.0, 99.0, 99.0]))
    found = []
    for bias in (99.0, -99.0, -99.0):
        with torch.no_grad():
            net.layer.bias[1] = bias
        [reading] = read(net, torch.randn(9, 6), silence=silence)
        silence.commit()
        found.append((reading.dead, reading.silent, reading.window))
    assert found == [(0.25, 0.25, 1), (0.5, 0.25, 2), (0.5, 0.25, 3)]


def test_a_network_without_operations():
    assert read(nn.Linear(2, 1), torch.ones(3, 2)) == ()


@pytest.mark.parametrize("shape", [(16, 4), (16, 4, 4), (4, 4)], ids=["rows", "positions", "few"])
def test_what_the_ledger_wants_too_is_the_same_as_it_would_read(shape):
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
    graph = walk(model(torch.randn(shape, generator=torch.Generator().manual_seed(1))).sum().grad_fn)
    names = parameter_names(model)
    Operations().read(graph, places(graph, names))
    [relu] = [node for node, name in graph.operations.items() if name == "Relu"]
    assert graph.slopes[relu].item() == slope_ratio("Relu", relu).item()
    assert (relu in graph.dead) == (shape == (16, 4))
    if graph.dead:
        assert graph.dead[relu].item() == dead_share("Relu", relu).item()
